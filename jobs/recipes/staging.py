"""The columns of the staging table, and how values are written there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto
from typing import Any

from django.db import connection, models

from jobs.recipes.converters import json_text
from jobs.resources import Column, Resource

READY = (
    models.BooleanField,
    models.CharField,
    models.DateTimeField,
    models.FloatField,
    models.IntegerField,
    models.TextField,
)


class Kind(Enum):
    PLAIN = auto()  # a column of the target
    MERGED = auto()  # a JSON object that is merged into the target's
    MANY = auto()  # the primary keys of a many-to-many relation, ascending
    PARENT = auto()  # the key of another row of the same model
    DEFAULT = auto()  # a default that differs from row to row, for inserts only


@dataclass(frozen=True, slots=True)
class StagedField:
    """One column of the staging table; `keys` are those of the JSON object that the file has.

    `given` is what new rows get instead of the field's own default, for a JSON object the further
    keys and values.
    """

    field: Any
    kind: Kind
    keys: tuple[str, ...] = ()
    given: Any = field(default=None, compare=False)

    @property
    def type(self) -> str:
        """Wide enough for any value, so that only the merge refuses rows, never COPY."""
        match self.kind:
            case Kind.MANY:
                return f"{self.field.related_model._meta.pk.rel_db_type(connection)}[]"
            case Kind.PARENT:
                return "text"
            case _ if self.field.is_relation:
                return self.field.target_field.rel_db_type(connection)
        if isinstance(self.field, models.CharField | models.TextField):
            return "text"
        if isinstance(self.field, models.DecimalField):
            return "numeric"
        return self.field.rel_db_type(connection)

    def default(self) -> Any:
        """What a new row gets where the file has no such column."""
        return self.field.get_default() if self.given is None else self.given

    def if_lacking(self) -> Any:
        """What a new row gets whose record lacks the field; None where there is no default."""
        if self.given is not None:
            return self.given
        if self.kind is Kind.MANY:
            return []
        if self.field.has_default():
            return self.field.get_default()
        may_be_empty = self.field.blank and self.field.empty_strings_allowed
        return "" if may_be_empty and not self.field.null else None

    def is_whole(self, row: dict[str, Any]) -> bool:
        """Whether a row of values lacks nothing of the field."""
        name = self.field.name
        return name in row and (self.kind is not Kind.MERGED or row[name].keys() >= {*self.keys})

    def ready(self, value: Any) -> Any:
        """A converted value as psycopg writes it for COPY."""
        encode = self.encoder()
        return value if encode is None or value is None else encode(value)

    def column_of(self, rows: list[dict[str, Any]]) -> list[Any]:
        """The values for COPY of cleaned rows."""
        if self.kind is Kind.DEFAULT:
            return [self.ready(self.default()) for _ in rows]
        name = self.field.name
        values = [row[name] if name in row else self.if_lacking() for row in rows]
        if self.kind is Kind.MERGED:
            return [None if value is None else _without_nothing(value) for value in values]
        return [self.ready(value) for value in values] if self.encoder() else values

    def encoder(self) -> Callable[[Any], Any] | None:
        """What makes a value, not None, ready for COPY; None where it is ready as it is."""
        if self.kind is Kind.MANY:
            return _array
        if self.kind is Kind.PARENT or self.field.is_relation or isinstance(self.field, READY):
            return None
        match self.field:
            case models.JSONField():
                return json_text
            case models.DecimalField():
                return str
            case models.DateField():
                return date.isoformat
        return lambda value: self.field.get_db_prep_save(value, connection)


def staged_fields(resource: Resource, columns: list[Column]) -> list[StagedField]:
    """What the staging table needs for a file with these columns: the key first."""
    present: dict[str, list[str]] = {key: [] for key in resource.key_fields()}
    for column in columns:
        keys = present.setdefault(column.field, [])
        if column.key is not None:
            keys.append(column.key)
    staged = [_staged(resource, name, keys) for name, keys in present.items()]
    absent = (of for of in resource.model._meta.concrete_fields if of.name not in present)
    return staged + [StagedField(of, Kind.DEFAULT) for of in absent if differs_by_row(of)]


def _staged(resource: Resource, name: str, keys: list[str]) -> StagedField:
    field = resource.model._meta.get_field(name)
    if field.many_to_many:
        return StagedField(field, Kind.MANY)
    if keys:
        return StagedField(field, Kind.MERGED, tuple(keys))
    if field.is_relation and field.related_model is resource.model:
        return StagedField(field, Kind.PARENT)
    return StagedField(field, Kind.PLAIN)


def differs_by_row(field: models.Field) -> bool:
    """Whether the default is made anew for each row, as uuid4 is, by code the database lacks."""
    if not field.has_default() or not callable(field.default):
        return False
    return field.default not in (dict, list, tuple, str, set)


def _without_nothing(value: dict[str, Any]) -> str:
    return json_text({key: of for key, of in value.items() if of is not None})


def _array(keys: list[Any]) -> str:
    return "{" + ",".join(map(str, keys)) + "}"
