"""What a migration may do while the release before it still serves. Each breach is one sentence; docs/operations.md
says what to do.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from annotation.database.migration_operations import AddFieldInPlace

CONTRACTS = (
    operations.RemoveField,
    operations.RenameField,
    operations.RenameModel,
    operations.DeleteModel,
    operations.AlterModelTable,
)
DATA = (operations.RunPython, operations.RunSQL)
CONCURRENT = (AddIndexConcurrently, RemoveIndexConcurrently)
WITH_TRIGGERS = ("item",)  # lower-case model names
ONLY_IN_PYTHON = (operations.AlterModelOptions, operations.AlterModelManagers)


def breaches(migration: Migration, before: ProjectState) -> Iterator[str]:
    """`before`: the state that the migration starts from."""
    fresh = {
        operation.name_lower for operation in migration.operations if isinstance(operation, operations.CreateModel)
    }
    kinds = {
        isinstance(operation, DATA) for operation in migration.operations if not isinstance(operation, ONLY_IN_PYTHON)
    }
    if kinds == {True, False}:
        yield "changes rows and schema: a long change of rows would hold the schema's locks"
    if migration.atomic and any(isinstance(operation, CONCURRENT) for operation in migration.operations):
        yield "builds an index concurrently inside a transaction: set atomic = False"
    state = before.clone()
    for operation in migration.operations:
        table = str(getattr(operation, "model_name_lower", ""))
        if table not in fresh:
            yield from (
                f"{operation.describe()}: {why}" for why in _of_operation(operation, state, migration.app_label)
            )
        operation.state_forwards(migration.app_label, state)


def _of_operation(operation: Operation, state: ProjectState, app: str) -> Iterator[str]:
    if isinstance(operation, CONTRACTS):
        yield "the release before this one still uses it; remove it in a later release"
    elif isinstance(operation, operations.AddField):
        yield from _of_new_field(operation.field)
        written_anew = not operation.field.null or operation.field.has_default()
        if written_anew and operation.model_name_lower in WITH_TRIGGERS and not isinstance(operation, AddFieldInPlace):
            yield "SQLite writes the table anew, without the triggers of the search; use AddFieldInPlace"
    elif isinstance(operation, operations.AlterField):
        yield from _of_changed_field(
            state.models[app, operation.model_name_lower].fields[operation.name], operation.field
        )
    elif isinstance(operation, (operations.AddIndex, operations.RemoveIndex)) and not isinstance(operation, CONCURRENT):
        yield "writers wait until the index is built; use AddIndexQuietly or RemoveIndexConcurrently"
    elif isinstance(operation, operations.AddConstraint):
        yield "every row is checked under a lock; add it as not valid, then validate it in a migration of its own"
    elif isinstance(operation, operations.RunSQL):
        yield "what SQL does cannot be checked here"


def _of_new_field(field: "models.Field[Any, Any]") -> Iterator[str]:
    if isinstance(field, models.ManyToManyField):
        return
    if not field.null and not field.has_db_default():
        yield "the release before this one inserts rows without it: give it null=True or a db_default"
    if field.unique or _indexed(field):
        yield "its index is built under a lock: db_index=False, and AddIndexQuietly in a migration of its own"


def _of_changed_field(old: "models.Field[Any, Any]", new: "models.Field[Any, Any]") -> Iterator[str]:
    if type(old) is not type(new) or (
        getattr(old, "max_length", None) != getattr(new, "max_length", None) and not _longer(old, new)
    ):
        yield "its type changes: PostgreSQL writes the whole table anew, under a lock"
    if old.null and not new.null:
        yield "the release before this one may still write nothing there"
    if (new.unique and not old.unique) or (_indexed(new) and not _indexed(old)):
        yield "its index is built under a lock"


def _indexed(field: "models.Field[Any, Any]") -> bool:
    return bool(getattr(field, "db_index", False))  # django-stubs has no such name on Field


def _longer(old: "models.Field[Any, Any]", new: "models.Field[Any, Any]") -> bool:
    """PostgreSQL only notes a longer varchar."""
    return isinstance(old, models.CharField) and (new.max_length or 0) > (old.max_length or 0)
