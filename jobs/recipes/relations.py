"""How rows of a model are tied to others, in the names of the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection, models

from jobs.recipes.keys import quote


@dataclass(frozen=True, slots=True)
class Relation:
    """A many-to-many relation of a model: its table and columns, quoted."""

    name: str
    table: str
    own: str
    other: str
    other_type: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key that points to a model: from which table and column, and to which field."""

    model: type[models.Model]
    table: str
    column: str
    target: Any
    words: str

    def key(self, plan: str, of: type[models.Model]) -> str:
        """What it must be equal to, in a plan that has the row's `pk` and its image `now`."""
        if self.target == of._meta.pk:
            return f"{plan}.pk"
        name = str(self.target.column).replace("'", "''").replace("%", "%%")
        return f"({plan}.now ->> '{name}')::{self.target.rel_db_type(connection)}"


def links_of(model: type[models.Model]) -> list[Relation]:
    """The many-to-many relations whose links have nothing of their own: part of the row."""
    return [
        Relation(
            name=field.name,
            table=quote(field.m2m_db_table()),
            own=quote(field.m2m_column_name()),
            other=quote(field.m2m_reverse_name()),
            other_type=str(field.related_model._meta.pk.rel_db_type(connection)),
        )
        for field in _many_to_many(model)
    ]


def references_to(model: type[models.Model]) -> list[Reference]:
    """The foreign keys by which rows of any model refer to this one's, but for its own links."""
    own = {(field.remote_field.through, field.m2m_column_name()) for field in _many_to_many(model)}
    found = []
    relations: list[Any] = model._meta.get_fields(include_hidden=True)
    for relation in relations:
        if not (relation.auto_created and (relation.one_to_many or relation.one_to_one)):
            continue
        field = relation.field
        if relation.related_model._meta.managed and (field.model, field.column) not in own:
            found.append(_reference(field))
    return found


def _many_to_many(model: type[models.Model]) -> list[Any]:
    """The relations whose table Django has made, so that it has no columns but the two keys."""
    fields: list[Any] = [*model._meta.many_to_many]
    return [field for field in fields if field.remote_field.through._meta.auto_created]


def _reference(field: Any) -> Reference:
    meta = field.model._meta
    words = f"{field.name} of {meta.verbose_name_plural}"
    if meta.auto_created:  # links of another model
        words = f"{meta.auto_created._meta.verbose_name_plural}"
    return Reference(field.model, quote(meta.db_table), field.column, field.target_field, words)
