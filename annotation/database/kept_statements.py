"""SQL that Django compiles once per process and that is then reused with new values, for the busiest paths.

These are the queries that every next item and every review waits for: compiling a queryset takes Django some ten times
as long as the database takes for a lookup by key. A statement is still defined as a queryset; its SQL is cached, and
only the values in it change:

    _by_prefix = Select(lambda prefix: ApiKey.objects.select_related("owner").filter(prefix=prefix))
    key = _by_prefix.first(prefix="gk_0a1b")

The first call compiles the SQL with a placeholder for each value and records the placeholders' positions. A value must
therefore be a number, a text, a UUID or a datetime, never None, and be compared or stored unchanged: `contains` and
similar lookups, which alter it first, are refused on the first call. Anything that changes the shape of the SQL, such
as an extra filter, needs another statement. This relies on undocumented parts of Django's compiler; Django is pinned to
5.2, and tests/annotation/database/test_kept_statements.py compares every statement with its queryset.
"""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast
from weakref import WeakSet

from django.db import connection, models
from django.db.models.query import QuerySet, get_related_populators
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery

M = TypeVar("M", bound=models.Model)
Value = int | str | uuid.UUID | datetime
# the value's name, and the type in which the database adapter wraps it
Slot = tuple[str, Callable[[Any], Any] | None]


class NotReusable(TypeError):
    """A value of this statement is changed on its way into the SQL, so that the SQL cannot be used again."""


@dataclass(frozen=True, slots=True)
class _Written:
    """SQL, its parameters, and the positions of those that are values."""

    sql: str
    params: tuple[Any, ...]
    slots: Mapping[int, Slot]

    def filled(self, values: Mapping[str, Value]) -> list[Any]:
        params = list(self.params)
        for position, (name, wrap) in self.slots.items():
            value = _prepared(values[name])
            params[position] = value if wrap is None else wrap(value)
        return params


class Statement(ABC):
    """The SQL from `write`, cached on the first call."""

    made: "WeakSet[Statement]" = WeakSet()

    def __init__(self) -> None:
        self._written: dict[str, _Written] = {}
        Statement.made.add(self)

    def sql(self, **values: Value) -> tuple[str, list[Any]]:
        """The SQL with its parameters, as the queryset would compile them."""
        written = self._written.get(connection.vendor) or self._compile(values)
        return written.sql, written.filled(values)

    def fetch(self, **values: Value) -> list[tuple[Any, ...]]:
        """Rows of column values as returned by the database driver.

        SQLite's datetimes have no time zone, and JSON is a string.
        """
        with connection.cursor() as cursor:
            cursor.execute(*self.sql(**values))
            return list(cursor.fetchall())

    @abstractmethod
    def write(self, values: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
        """Compile the SQL and parameters with Django's own compiler."""

    def _compile(self, values: Mapping[str, Value]) -> _Written:
        stand_ins = {name: _stand_in(number, value) for number, (name, value) in enumerate(values.items())}
        sql, params = self.write(stand_ins)
        slots: dict[int, Slot] = {}
        for name, stand_in in stand_ins.items():
            sought = _prepared(stand_in)
            found = [position for position, param in enumerate(params) if type(param) is not bool and param == sought]
            if not found:
                raise NotReusable(f"{name}: {NotReusable.__doc__}")
            for position in found:
                slots[position] = name, None if type(params[position]) is type(sought) else type(params[position])
        written = self._written[connection.vendor] = _Written(sql, tuple(params), slots)
        return written

    def run(self, **values: Value) -> int:
        """Run the statement. Returns the number of rows changed."""
        with connection.cursor() as cursor:
            cursor.execute(*self.sql(**values))
            return int(cursor.rowcount)


class Select(Statement, Generic[M]):
    """Rows of a model, including the relations given to `select_related`."""

    def __init__(self, build: Callable[..., QuerySet[M]]) -> None:
        super().__init__()
        self._build = build
        self._read: _Reader | None = None

    def rows(self, **values: Value) -> list[M]:
        found = self.fetch(**values)
        assert self._read is not None, "of columns: fetch them"
        return [cast(M, self._read(row)) for row in found]

    def first(self, **values: Value) -> M | None:
        """The first row returned, or None. The queryset sets the order, and the limit where there may be many rows."""
        return next(iter(self.rows(**values)), None)

    def write(self, values: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
        query = self._build(**values).query
        compiler = query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        self._read = _Reader(compiler) if query.default_cols else None  # None if columns are selected
        return sql, params


class Update(Statement):
    """An update. `build` returns the rows to change and the new values of their columns."""

    def __init__(self, build: Callable[..., tuple[QuerySet[Any], Mapping[str, Any]]]) -> None:
        super().__init__()
        self._build = build

    def write(self, values: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
        rows, changes = self._build(**values)
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(changes)
        return cast(tuple[str, Sequence[Any]], query.get_compiler(connection=connection).as_sql())


class Delete(Statement):
    """A delete without cascade, for rows that nothing refers to."""

    def __init__(self, build: Callable[..., QuerySet[Any]]) -> None:
        super().__init__()
        self._build = build

    def write(self, values: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
        query = self._build(**values).query.chain(DeleteQuery)
        return cast(tuple[str, Sequence[Any]], query.get_compiler(connection=connection).as_sql())


class _Reader:
    """Converts a database row to a model instance with its relations, as Django's ModelIterable does."""

    def __init__(self, compiler: Any) -> None:
        select, info = compiler.select, compiler.klass_info
        fields = info["select_fields"]
        self._model, self._begin, self._end = info["model"], fields[0], fields[-1] + 1
        self._names = [one[0].target.attname for one in select[self._begin : self._end]]
        self._annotations = dict(compiler.annotation_col_map or {})
        # django-stubs describes the Django 6 version, which takes no alias
        populators: Any = get_related_populators
        self._related = populators(info, select, connection.alias)
        self._converters = [
            (position, converters, expression)
            for position, (converters, expression) in compiler.get_converters([one[0] for one in select]).items()
        ]

    def __call__(self, row: Sequence[Any]) -> models.Model:
        values = list(row)
        for position, converters, expression in self._converters:
            for convert in converters:
                values[position] = convert(values[position], expression, connection)
        made: models.Model = self._model.from_db(connection.alias, self._names, values[self._begin : self._end])
        for related in self._related:
            related.populate(values, made)
        for name, position in self._annotations.items():
            setattr(made, name, values[position])
        return made


def insert(row: M) -> M:
    """Insert a row with the same SQL as `row.save(force_insert=True)`.

    No signal is sent, and no column may be computed by the database.
    """
    fields, sql = _insertion(type(row), connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(sql, [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields])
        row.pk = cursor.fetchone()[0]
    row._state.adding, row._state.db = False, connection.alias
    return row


@lru_cache(maxsize=64)
def _insertion(model: type[models.Model], vendor: str) -> tuple[list[Any], str]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    query = InsertQuery(model)
    query.insert_values(fields, [model()])
    compiler: Any = query.get_compiler(connection=connection)
    compiler.returning_fields = model._meta.db_returning_fields
    ((sql, _),) = compiler.as_sql()
    return fields, sql


def _prepared(value: Value) -> Any:
    """Convert a value as model fields of its type do for the database."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, uuid.UUID):
        return value if connection.features.has_native_uuid_field else value.hex
    return value


def _stand_in(number: int, value: Value) -> Value:
    """A placeholder of the same type that occurs nowhere else in a statement."""
    if isinstance(value, bool) or not isinstance(value, int | str | uuid.UUID | datetime):
        raise NotReusable(f"{value!r}: {NotReusable.__doc__}")
    if isinstance(value, int):
        return 2_000_000_011 + number
    if isinstance(value, str):
        return f"stand-in {number}"
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=2**127 + number)
    return datetime(1900, 1, 1, tzinfo=UTC) + timedelta(days=number)
