"""The grid of a resource's rows, as its address says it: filters, search, order, columns, page."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import NoReverseMatch, reverse

from jobs import browsing
from jobs.conditions import Condition, in_words
from jobs.fields import Field, Kind, fields_of
from jobs.permissions import may
from jobs.resources import Resource, ResourceClass
from jobs.selection import Selection
from jobs.selection_query import query_of, selection_from, text_of
from tracker.queries.filter_form import FilterForm
from tracker.queries.look import Count
from tracker.queries.resources import label_of

PAGE_SIZE = 25
SHOWN_AT_FIRST = 7  # columns
FIELDS_KEPT_SECONDS = 60

_kept: dict[ResourceClass, tuple[float, Resource, list[Field]]] = {}


def known(resource: ResourceClass) -> tuple[Resource, list[Field]]:
    """An instance of the resource and its fields, as they were within the last minute.

    Finding out which keys its JSON fields have takes several queries.
    """
    kept = _kept.get(resource)
    if kept is None or time.monotonic() - kept[0] > FIELDS_KEPT_SECONDS:
        kept = _kept[resource] = (time.monotonic(), resource(), fields_of(resource))
    return kept[1], kept[2]


@dataclass(frozen=True, slots=True)
class Heading:
    """A column; `address` orders the rows by it, or the other way round."""

    label: str
    is_number: bool
    address: str
    direction: str  # ascending, descending, or nothing


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address of the grid without it."""

    text: str
    address: str


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    is_number: bool = False
    moment: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row; `address` is its page in Django's admin, for those who get there."""

    key: Any
    cells: list[Cell]
    address: str


class Grid:
    """The rows that an address asks for, as `user` may see them, in these columns.

    `problems` are sentences about what cannot be shown; then there are no rows.
    """

    def __init__(self, user: User, resource: ResourceClass, params: QueryDict, columns: list[str]):
        self.user, self.params, self.resource = user, params, resource
        self.label = label_of(resource)
        self.one, fields = known(resource)
        self.fields = [field for field in fields if may(user, "view", field)]
        self.by_name = {field.name: field for field in self.fields}
        self.problems: list[str] = []
        shown = [name for name in columns if name in self.by_name]
        self.selection = self._selection(tuple(shown or self.columns_at_first))

    def _selection(self, columns: tuple[str, ...]) -> Selection:
        try:
            found = replace(selection_from(self.resource, self.params), columns=columns)
            self._check(found)
        except ValidationError as error:
            self.problems += error.messages
            found = Selection(resource=self.resource, columns=columns)
        vars(found)["one"] = self.one  # which has looked up already what the fields need
        return found

    def _check(self, selection: Selection) -> None:
        """Raise ValidationError unless it can be, and its reader may see all that it names."""
        vars(selection)["one"] = self.one
        selection.check()
        decision = may(self.user, "view", selection)
        if not decision:
            raise ValidationError(decision.reason)

    @property
    def columns_at_first(self) -> list[str]:
        own = [field.name for field in self.fields if not field.keys and "." not in field.name]
        return own[:SHOWN_AT_FIRST]

    # --- Rows ---------------------------------------------------------------------------------

    @cached_property
    def page(self) -> browsing.Page | None:
        if self.problems:
            return None
        after, before = (self.params.get(name, "") for name in ("after", "before"))
        try:
            return browsing.page(self.selection, size=PAGE_SIZE, after=after, before=before)
        except ValidationError as error:
            self.problems += error.messages
        except browsing.TooSlow as slow:
            self.problems.append(str(slow))
        return None

    @cached_property
    def rows(self) -> list[GridRow]:
        found = self.page.rows if self.page else []
        return [GridRow(key, self._cells(values), self._admin(key)) for key, values in found]

    def _cells(self, values: list[Any]) -> list[Cell]:
        fields = [self.by_name[name] for name in self.selection.columns]
        return [cell(field, value) for field, value in zip(fields, values, strict=True)]

    def _admin(self, key: Any) -> str:
        meta = self.resource.model._meta
        if not self.user.is_staff:
            return ""
        try:
            return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[key])
        except NoReverseMatch:
            return ""

    @cached_property
    def count(self) -> Count | None:
        """How many rows match; None where that takes too long to say."""
        if self.page is None:
            return None
        if not (self.page.before or self.page.after):
            return Count(len(self.page.rows))
        found = browsing.count(self.selection)
        return None if found is None else Count(found)

    # --- Columns and order --------------------------------------------------------------------

    @property
    def headings(self) -> list[Heading]:
        return [self._heading(self.by_name[name]) for name in self.selection.columns]

    def _heading(self, field: Field) -> Heading:
        first = self.selection.order[0] if self.selection.order else ""
        direction = {field.name: "ascending", f"-{field.name}": "descending"}.get(first, "")
        towards = f"-{field.name}" if direction == "ascending" else field.name
        return Heading(
            label=field.label,
            is_number=field.kind is Kind.NUMBER,
            address=self._address(order=towards) if field.is_sortable else "",
            direction=direction,
        )

    @property
    def columns(self) -> list[tuple[Field, bool]]:
        """Every field, and whether it is shown."""
        shown = set(self.selection.columns)
        return [(field, field.name in shown) for field in self.fields]

    # --- Addresses ----------------------------------------------------------------------------

    @property
    def state(self) -> list[tuple[str, str]]:
        """What the address says but the page; the columns only if it names them."""
        pairs = query_of(self.selection)
        return pairs if "columns" in self.params else _but(pairs, "columns")

    @property
    def query(self) -> str:
        return urlencode(self.state)

    def _address(self, **changed: str) -> str:
        more = [(name, value) for name, value in changed.items() if value]
        return "?" + urlencode(_but(self.state, *changed) + more)

    @property
    def earlier(self) -> str:
        return self._address(before=self.page.before) if self.page and self.page.before else ""

    @property
    def later(self) -> str:
        return self._address(after=self.page.after) if self.page and self.page.after else ""

    @property
    def but_search(self) -> list[tuple[str, str]]:
        return _but(self.state, "search")

    @property
    def but_columns(self) -> list[tuple[str, str]]:
        return _but(self.state, "columns")

    @property
    def unfiltered(self) -> str:
        return "?" + urlencode(_but(self.state, "filter", "search"))

    # --- Filters ------------------------------------------------------------------------------

    @property
    def is_filtered(self) -> bool:
        return bool(self.selection.filters or self.selection.search)

    @property
    def chips(self) -> list[Chip]:
        return [
            Chip(
                in_words(self.resource, condition, self.one),
                "?" + urlencode([p for p in self.state if p != ("filter", text_of(condition))]),
            )
            for condition in self.selection.filters
        ]

    @cached_property
    def filter_form(self) -> FilterForm:
        return FilterForm(self.by_name, self.params, self._check_filter)

    def _check_filter(self, condition: Condition) -> None:
        self._check(replace(self.selection, filters=(condition,)))

    @property
    def address_with_filter(self) -> str:
        """Where the form of a filter leads: to the grid with that filter besides."""
        added = self.filter_form.added
        if added is None or self.problems or self.filter_form.problems:
            return ""
        return "?" + urlencode([*self.state, ("filter", text_of(added))])

    # --- What is done with rows ---------------------------------------------------------------

    def parameters(self, only: Condition | None, *, all_columns: bool) -> dict[str, Any]:
        """The parameters of an export of these rows, or of those that `only` finds."""
        meant = self.selection
        if only:
            meant = replace(meant, filters=(only,), search="")
        return (replace(meant, columns=()) if all_columns else meant).to_json()


def _but(pairs: list[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if name not in names]


def cell(field: Field, value: Any) -> Cell:
    """A value as people read it."""
    match value:
        case None | "" | []:
            return Cell("")
        case bool():
            return Cell("Yes" if value else "No")
        case dt.datetime():
            return Cell("", moment=value)
        case list() | tuple():
            return Cell(", ".join(str(each) for each in value))
    if field.choices:
        return Cell(dict(field.choices).get(str(value), str(value)))
    return Cell(str(value), is_number=field.kind is Kind.NUMBER)
