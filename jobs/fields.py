"""What can be asked of the rows of a resource: its fields, their types, and where they are kept.

Names are those that files use: a field or its alias (`price-EUR`), a key of a JSON field (`color`,
`label-en_US`), or a way over a relation (`family.code`, `family.label-en_US`). Only what resources
declare can be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F
from django.db.models.fields.json import KeyTextTransform
from django.utils.text import capfirst

from jobs.resources import RESOURCES, Column, Resource, ResourceClass

SAMPLE = 1000  # rows in which the keys of JSON fields are looked for


class Kind(StrEnum):
    """What a value is, and with it how it is compared."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    MOMENT = "moment"
    CHOICE = "choice"
    CODES = "codes"  # of a relation to many
    VALUE = "value"  # under a key of a JSON field: text, number, truth value or list
    JSON = "json"


EQUAL = ("=", "!=", "in", "not in", "empty", "not empty")
ORDERED = (*EQUAL, "<", "<=", ">", ">=", "between")
FOUND = (*EQUAL, "contains", "starts with")
OPERATORS = {
    Kind.TEXT: FOUND,
    Kind.NUMBER: ORDERED,
    Kind.BOOLEAN: ("is true", "is false", "empty", "not empty"),
    Kind.DATE: ORDERED,
    Kind.MOMENT: ORDERED,
    Kind.CHOICE: EQUAL,
    Kind.CODES: ("in", "not in", "empty", "not empty"),
    Kind.VALUE: (*FOUND, "<", "<=", ">", ">=", "between"),
    Kind.JSON: ("empty", "not empty"),
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing that rows can be filtered and ordered by, and that exports can write.

    `path` is the way to the model's field over relations, in Django's spelling; `keys` lead to a
    value within a JSON field. `models` are those that must be seen to read it.
    """

    name: str
    label: str
    kind: Kind
    path: str
    model_field: Any
    keys: tuple[str, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()
    models: tuple[type[models.Model], ...] = ()

    @property
    def operators(self) -> tuple[str, ...]:
        return OPERATORS[self.kind]

    @property
    def is_sortable(self) -> bool:
        return self.kind not in {Kind.CODES, Kind.JSON}

    @property
    def expression(self) -> Any:
        """The value for the ORM; that of a JSON key as text."""
        if not self.keys:
            return F(self.path)
        *outer, last = self.keys
        return KeyTextTransform(last, "__".join([self.path, *outer]))


def fields_of(resource: ResourceClass, *, sample: int = SAMPLE) -> list[Field]:
    """The fields of a resource in the order of its files, then those over relations to one.

    Of JSON fields it lists the keys that occur in the last `sample` rows.
    """
    beyond = [
        field_named(resource, f"{name}.{other().field_column(inner).names[0]}")
        for name, other in _relations(resource)
        for inner in _plain(other)
        if inner != resource.lookups[name] and not _is_to_many(other, inner)
    ]
    return import_fields(resource, sample=sample) + beyond


def import_fields(resource: ResourceClass, *, sample: int = SAMPLE) -> list[Field]:
    """Those of them that imports take too."""
    one = resource()
    return own_fields(resource, one) + key_fields(one, _occurring(one, sample))


def own_fields(resource: ResourceClass, one: Resource) -> list[Field]:
    """The fields with a column of their own, in the order of the resource."""
    return [_own_field(one, one.field_column(name).names[0], name) for name in _plain(resource)]


def key_fields(one: Resource, names: list[str]) -> list[Field]:
    """The fields for names of JSON keys, with all parts of those that belong together."""
    fields = (
        _key_field(one, name, column)
        for column in one.extra_columns(names)
        if column.key is not None
        for name in column.names
    )
    return list({field.name: field for field in fields}.values())


def fields_named(resource: ResourceClass, names: Sequence[str], one: Resource) -> list[Field]:
    """The fields of these names in their order; raises ValidationError for the first unknown."""
    plain = {name for name in names if resource.aliases.get(name, name) in resource.fields}
    others = [name for name in names if name not in plain]
    keyed = {field.name: field for field in key_fields(one, others)} if others else {}
    return [keyed.get(name) or field_named(resource, name, one) for name in names]


def field_named(resource: ResourceClass, name: str, one: Resource | None = None) -> Field:
    """The field of this name; raises ValidationError with a sentence where there is none.

    `one` may be an instance of the resource, which keeps what it has looked up.
    """
    one = one or resource()
    plain = resource.aliases.get(name, name)
    if plain in resource.fields or plain == "pk":
        return _own_field(one, name, plain)
    if found := _extra_field(one, name):
        return found
    relation, _, rest = name.partition(".")
    relation = resource.aliases.get(relation, relation)
    if rest and relation in resource.fields and relation in resource.lookups:
        return _related_field(resource, name, relation, rest)
    known = ", ".join(one.field_column(of).names[0] for of in _plain(resource))
    raise ValidationError(
        f"There is no field {name!r} in {resource.name}; there are: {known}, keys of its JSON "
        "fields, and fields of its relations such as relation.code.",
        "unknown_field",
    )


def _own_field(one: Resource, name: str, plain: str) -> Field:
    meta = one.model._meta
    of: Any = meta.pk if plain == "pk" else meta.get_field(plain)
    lookup = one.lookups.get(plain)
    to_many = of.many_to_many
    final = of.related_model._meta.get_field(lookup) if lookup and of.is_relation else of
    return Field(
        name=name,
        label=capfirst(str(of.verbose_name)),
        kind=Kind.CODES if to_many else kind_of(final),
        path=f"{plain}__{lookup}" if lookup and of.is_relation else plain,
        model_field=of if to_many else final,
        choices=tuple((str(value), str(label)) for value, label in final.flatchoices),
        models=(one.model,),
    )


def _extra_field(one: Resource, name: str) -> Field | None:
    for column in one.extra_columns([name]) if one.extra_fields() else ():
        if name in column.names and column.key is not None:
            return _key_field(one, name, column)
    return None


def _key_field(one: Resource, name: str, column: Column) -> Field:
    parts = (column.parts[column.names.index(name)],) if column.parts else ()
    return Field(
        name=name,
        label=name,
        kind=Kind.VALUE,
        path=column.field,
        model_field=one.model._meta.get_field(column.field),
        keys=(str(column.key), *parts),
        models=(one.model,),
    )


def _related_field(resource: ResourceClass, name: str, relation: str, rest: str) -> Field:
    """The field of the row that a relation to one leads to, as that row's resource has it."""
    of: Any = resource.model._meta.get_field(relation)
    if of.many_to_many:
        raise ValidationError(
            f"{name!r} leads over {relation}, which has many rows; name {relation} alone.",
            "unknown_field",
        )
    if rest == resource.lookups[relation]:
        inner = _own_field(_stand_in(of.related_model, rest)(), rest, rest)
    elif other := _resource_of(of.related_model):
        inner = field_named(other, rest)
    else:
        raise ValidationError(
            f"There is no field {name!r} in {resource.name}: of {relation} only "
            f"{relation}.{resource.lookups[relation]} can be named.",
            "unknown_field",
        )
    if inner.kind is Kind.CODES:
        raise ValidationError(f"{name!r} has many rows for one; it cannot be named.", "to_many")
    return Field(
        name=name,
        label=f"{capfirst(str(of.verbose_name))}: {inner.label}",
        kind=inner.kind,
        path=f"{relation}__{inner.path}",
        model_field=inner.model_field,
        keys=inner.keys,
        choices=inner.choices,
        models=(resource.model, *(() if rest == resource.lookups[relation] else inner.models)),
    )


def _stand_in(model: type[models.Model], field: str) -> ResourceClass:
    """What a relation's code is read from, where its model has no resource of its own."""
    return type("StandIn", (Resource,), {"model": model, "key": field, "fields": [field]})


def kind_of(field: Any) -> Kind:
    """The kind of a model's field."""
    if field.choices:
        return Kind.CHOICE
    kinds: list[tuple[Any, Kind]] = [
        (models.BooleanField, Kind.BOOLEAN),
        (models.DateTimeField, Kind.MOMENT),
        (models.DateField, Kind.DATE),
        ((models.DecimalField, models.IntegerField, models.FloatField), Kind.NUMBER),
        (models.JSONField, Kind.JSON),
    ]
    return next((kind for types, kind in kinds if isinstance(field, types)), Kind.TEXT)


def _plain(resource: ResourceClass) -> list[str]:
    """Fields with a column of their own, and not one for each key."""
    return [name for name in resource.fields if name not in resource.extra_fields()]


def _relations(resource: ResourceClass) -> Iterator[tuple[str, ResourceClass]]:
    for name in _plain(resource):
        of: Any = resource.model._meta.get_field(name)
        if of.is_relation and not of.many_to_many and (other := _resource_of(of.related_model)):
            yield name, other


def _is_to_many(resource: ResourceClass, name: str) -> bool:
    return bool(resource.model._meta.get_field(name).many_to_many)


def _resource_of(model: type[models.Model]) -> ResourceClass | None:
    return next((each for each in RESOURCES.values() if each.model is model), None)


def _occurring(one: Resource, sample: int) -> list[str]:
    """The columns of keys that the JSON fields have in the last rows."""
    fields = one.extra_fields()
    if not fields:
        return []
    rows = one.queryset().order_by("-pk").values_list(*fields)[:sample]
    return sorted(
        {
            prefix + key
            for values in rows
            for value, prefix in zip(values, fields.values(), strict=True)
            if isinstance(value, dict)
            for key in value
        }
    )
