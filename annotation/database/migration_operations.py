"""Operations for migrations that run while the product is in use; the rules are in docs/operations.md."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddField, AddIndex, AlterConstraint


class AddFieldInPlace(AddField):
    """Add a column with a `db_default` to a large table.

    PostgreSQL adds it at once, as usual. On SQLite, Django would write the whole table anew for it, which takes minutes
    for many rows, and drops the table's triggers: those of items keep the index of the search.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            BaseDatabaseSchemaEditor.add_field(schema_editor, model, model._meta.get_field(self.name))


class AddIndexQuietly(AddIndexConcurrently):
    """Add an index to a table that is in use.

    PostgreSQL builds it without blocking writes (the migration needs `atomic = False`); SQLite builds it as usual.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        kind = AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        kind.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        kind = AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        kind.database_backwards(self, app_label, schema_editor, from_state, to_state)


class ChangeCheckQuietly(AlterConstraint):
    """Change the condition of a check constraint of a table that is in use, without reading its rows.

    PostgreSQL then checks new rows only, until `ValidateCheckQuietly` in a later migration has checked the others.
    SQLite keeps constraints only in the text of the table's definition, which is edited as its documentation describes
    (ALTER TABLE, section 7); Django would copy the table, and lose its triggers.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._change(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._change(app_label, schema_editor, from_state, to_state)

    def _change(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        constraint = to_state.models[app_label, self.model_name_lower].get_constraint_by_name(self.name)
        wanted = constraint.constraint_sql(model, schema_editor)
        if schema_editor.connection.vendor == "postgresql":
            table, name = schema_editor.quote_name(model._meta.db_table), schema_editor.quote_name(self.name)
            schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
            schema_editor.execute(f"ALTER TABLE {table} ADD {wanted} NOT VALID", params=None)
            return
        with schema_editor.connection.cursor() as cursor:
            _edit_definition(cursor, model._meta.db_table, self.name, str(wanted))


class ValidateCheckQuietly(ValidateConstraint):
    """Check the rows of a table against a constraint changed by ChangeCheckQuietly, while they are read and written.

    Only PostgreSQL needs it.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)


def _edit_definition(cursor: Any, table: str, name: str, wanted: str) -> None:
    """Replace a check constraint in the definition of a table of SQLite."""
    cursor.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = %s", [table])
    (sql,) = cursor.fetchone()
    begin = sql.index(f'CONSTRAINT "{name}" CHECK (')
    end, depth = sql.index("(", begin), 0
    while True:
        depth += {"(": 1, ")": -1}.get(sql[end], 0)
        end += 1
        if depth == 0:
            break
    cursor.execute("PRAGMA schema_version")
    (version,) = cursor.fetchone()
    cursor.execute("PRAGMA writable_schema = ON")
    try:
        cursor.execute(
            "UPDATE sqlite_schema SET sql = %s WHERE type = 'table' AND name = %s",
            [sql[:begin] + wanted + sql[end:], table],
        )
        # so that every connection reads the definition again
        cursor.execute(f"PRAGMA schema_version = {int(version) + 1}")
    finally:
        cursor.execute("PRAGMA writable_schema = OFF")
