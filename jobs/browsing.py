"""The rows of a selection a page at a time, in any order, however many rows there are.

A page begins behind the last row of the one before (keyset): no row is passed over to get there,
and rows that come or go meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, models, transaction
from django.db.models import F, OrderBy, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from psycopg.errors import QueryCanceled

from jobs.fields import Field, Kind, field_named
from jobs.recipes.keys import folded_fields
from jobs.selection import Selection

PATIENCE_SECONDS = 3.0  # for the rows of one page
COUNT_SECONDS = 0.3  # for their number, which a page can do without
CAP = 10_000  # counts are exact up to here
SALT = "jobs.browsing"


class TooSlow(Exception):
    """The rows were not found in the time that a page may take."""

    def __init__(self) -> None:
        super().__init__(
            f"Finding these rows took longer than {PATIENCE_SECONDS:.0f} seconds, so it was given "
            "up. Narrow them by a key or a code first, or drop the search or the order."
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as their primary keys and values by column; `before` and `after` lead further."""

    rows: list[tuple[Any, list[Any]]]
    before: str
    after: str


def page(selection: Selection, *, size: int, after: str = "", before: str = "") -> Page:
    """A page behind the row that `after` names, or the one that ends before `before`.

    Raises ValidationError where the selection or a cursor cannot be used, TooSlow.
    """
    order, backwards = _order(selection), bool(before)
    rows = _ordered(selection.queryset(), order, backwards)
    if position := _read(before or after, selection):
        rows = rows.filter(_beyond(order, position, backwards))
    wanted = selection.one.model._default_manager.filter(pk__in=rows.values("pk")[: size + 1])
    cells = {f"_cell{number}": _value(field) for number, field in enumerate(selection.fields)}
    names = [key.name for key in order]
    read = _ordered(wanted.annotate(**cells), order, backwards).values_list(*names, *cells)
    with _at_most(PATIENCE_SECONDS):
        found = list(read)
    more, shown = len(found) > size, found[:size][:: -1 if backwards else 1]
    first, last = ([row[: len(names)] for row in rows] for rows in (shown[:1], shown[-1:]))
    return Page(
        rows=[(row[len(names) - 1], list(row[len(names) :])) for row in shown],
        before=_write(first, selection) if after or (backwards and more) else "",
        after=_write(last, selection) if backwards or more else "",
    )


def count(selection: Selection) -> int | None:
    """How many rows there are, up to one more than CAP; None where counting takes too long."""
    rows = selection.queryset().order_by().values("pk")[: CAP + 1]
    try:
        with _at_most(COUNT_SECONDS):
            return rows.count()
    except TooSlow:
        return None


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Let PostgreSQL give up on a statement that takes longer; raises TooSlow."""
    limit = f"{seconds * 1000:.0f}ms"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from error
        raise


# --- Order ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Key:
    """One of the values by which rows are ordered; those without a value come last."""

    name: str
    expression: Any
    descending: bool
    nullable: bool

    def order_by(self, backwards: bool) -> Any:
        nulls = "nulls_first" if backwards else "nulls_last"
        # Where there are no nulls an index would not be taken for an order that speaks of them.
        options = {nulls: True} if self.nullable else {}
        return OrderBy(F(self.name), descending=self.descending ^ backwards, **options)

    def beyond(self, value: Any, backwards: bool) -> Q:
        """Further than this value."""
        if value is None:
            return Q(**{f"{self.name}__isnull": False}) if backwards else Q(pk__in=[])
        side = "lt" if self.descending ^ backwards else "gt"
        further = Q(**{f"{self.name}__{side}": value})
        if self.nullable and not backwards:
            further |= Q(**{f"{self.name}__isnull": True})
        return further

    def at(self, value: Any) -> Q:
        return Q(**({f"{self.name}__isnull": True} if value is None else {self.name: value}))


def _order(selection: Selection) -> list[_Key]:
    """The keys of the selection's order, and the primary key, in the direction of the last."""
    keys: list[_Key] = []
    for number, name in enumerate(selection.order):
        field = field_named(selection.resource, name.removeprefix("-"), selection.one)
        if not field.is_sortable:
            raise ValidationError({"order": f"Rows cannot be ordered by {field.label}."})
        keys.append(_key(f"_key{number}", field, descending=name.startswith("-")))
    descending = keys[-1].descending if keys else False
    return [*keys, _Key("pk", F("pk"), descending, nullable=False)]


def _key(name: str, field: Field, *, descending: bool) -> _Key:
    """Codes whose case does not matter are ordered by the index that keeps them unique."""
    is_own = "__" not in field.path and not field.keys
    is_folded = is_own and field.path in folded_fields(field.model_field.model)
    expression = Lower(field.path) if is_folded else field.expression
    return _Key(name, expression, descending, nullable=not is_own or field.model_field.null)


def _ordered(rows: QuerySet[Any], order: list[_Key], backwards: bool) -> QuerySet[Any]:
    rows = rows.annotate(**{key.name: key.expression for key in order[:-1]})
    return rows.order_by(*(key.order_by(backwards) for key in order))


def _beyond(order: list[_Key], position: list[Any], backwards: bool) -> Q:
    """Behind this position: further by the first key, or level there and further by the next."""
    found = Q(pk__in=[])
    level = Q()
    for key, value in zip(order, position, strict=True):
        found |= level & key.beyond(value, backwards)
        level &= key.at(value)
    first = order[0]
    if not first.nullable:  # says where an index search begins, which an OR does not
        side = "lte" if first.descending ^ backwards else "gte"
        found &= Q(**{f"{first.name}__{side}": position[0]})
    return found


def _write(rows: list[Any], selection: Selection) -> str:
    if not rows:
        return ""
    position = json.loads(json.dumps(list(rows[0]), default=str))
    return signing.dumps([[*selection.order], position], salt=SALT, compress=True)


def _read(cursor: str, selection: Selection) -> list[Any]:
    """The position that `_write` wrote; signed, so that nobody brings one of their own."""
    if not cursor:
        return []
    try:
        order, position = signing.loads(cursor, salt=SALT)
    except signing.BadSignature:
        raise ValidationError({"cursor": "There is no such page; begin without it."}) from None
    if order != [*selection.order]:
        raise ValidationError({"cursor": "This page belongs to another order of the rows."})
    return list(position)


# --- Values ---------------------------------------------------------------------------------


def _value(field: Field) -> Any:
    return _codes(field) if field.kind is Kind.CODES else field.expression


def _codes(field: Field) -> ArraySubquery:
    """The codes of a relation to many, in order."""
    relation: Any = field.model_field
    own, other = relation.m2m_field_name(), relation.m2m_reverse_field_name()
    code = f"{other}__{field.path.removeprefix(f'{relation.name}__')}"
    links: QuerySet[models.Model] = relation.remote_field.through._default_manager.filter(
        **{own: OuterRef("pk")}
    )
    return ArraySubquery(links.order_by(code).values(code))
