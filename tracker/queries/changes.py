"""The ledger of an execution: what became of each row, before and after, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.utils.text import capfirst

from jobs.models import JobExecution, RowChange

PAGE_SIZE = 50
SHOWN = 6  # fields of a row, before the rest is only counted
LONGEST = 300  # characters of a value
ICONS = {
    "created": ("plus-circle", "ok"),
    "updated": ("pencil-square", "run"),
    "unchanged": ("minus-circle", "idle"),
    "deleted": ("trash", "bad"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A filter of the list; `count` is None where nobody has counted."""

    label: str
    count: int
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a row; None for a value that is not there."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Line:
    change: RowChange
    icon: str
    tone: str
    differences: list[Difference]
    more: int


class Changes:
    """One page of the ledger in its order, as the address asks: `outcome`, `key`, `after`."""

    def __init__(self, execution: JobExecution, params: QueryDict):
        self.execution = execution
        self.outcome = params.get("outcome", "")
        self.key = params.get("key", "").strip().replace("\0", "")
        after = params.get("after", "")
        self.after = int(after) if after.isdecimal() and len(after) < 19 else None

    @property
    def is_kept(self) -> bool:
        return self.execution.ledger_model is not None

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of rows, as the steps have counted it."""
        steps = list(self.execution.steps.all())
        counts = {name: sum(getattr(step, name) for step in steps) for name in ICONS}
        return [
            Outcome(
                label=RowChange.Outcome(name).label,
                count=count,
                address=self._address(**({} if name == self.outcome else {"outcome": name})),
                is_current=name == self.outcome,
            )
            for name, count in counts.items()
            if count
        ]

    @staticmethod
    def _address(**more: str | int) -> str:
        return "?" + urlencode({"tab": "rows", **more})

    def _found(self) -> QuerySet[RowChange]:
        found = self.execution.row_changes.order_by("pk")
        if self.after is not None:
            found = found.filter(pk__gt=self.after)
        if self.outcome:
            found = found.filter(outcome=self.outcome)
        return found.filter(key__istartswith=self.key) if self.key else found

    @cached_property
    def _page(self) -> list[RowChange]:
        return list(self._found()[: PAGE_SIZE + 1])

    @cached_property
    def lines(self) -> list[Line]:
        return lines(self.execution, self._page[:PAGE_SIZE])

    @property
    def is_filtered(self) -> bool:
        return bool(self.chosen)

    @property
    def chosen(self) -> dict[str, str]:
        chosen = {"outcome": self.outcome, "key": self.key}
        return {name: value for name, value in chosen.items() if value}

    @property
    def next(self) -> str:
        if len(self._page) <= PAGE_SIZE:
            return ""
        return self._address(**self.chosen, after=self._page[PAGE_SIZE - 1].pk)

    @property
    def first(self) -> str:
        return self._address(**self.chosen) if self.after is not None else ""


def lines(execution: JobExecution, changes: Iterable[RowChange]) -> list[Line]:
    """The changes in words; codes stand for the primary keys of related rows."""
    changes = list(changes)
    words = _Words(_resource_of(execution), changes)
    return [_line(change, words) for change in changes]


def _line(change: RowChange, words: _Words) -> Line:
    found = list(words.differences(change))
    icon, tone = ICONS[change.outcome]
    return Line(change, icon, tone, found[:SHOWN], max(0, len(found) - SHOWN))


def _resource_of(execution: JobExecution) -> Any:
    """The resource of the job, or of the one that is undone."""
    for one in (execution, execution.undoes):
        resource = getattr(one.definition, "resource", None) if one else None
        if resource is not None:
            return resource
    return None


class _Words:
    """Columns of a table by the names of their fields, and keys of relations by their codes."""

    def __init__(self, resource: Any, changes: list[RowChange]):
        self.resource = resource
        meta = resource.model._meta if resource else None
        fields = (*meta.concrete_fields, *meta.many_to_many) if meta else ()
        self.fields = {getattr(field, "column", None) or field.name: field for field in fields}
        self.codes = {
            column: self._codes(field, _keys(changes, column))
            for column, field in self.fields.items()
            if field.is_relation
        }

    def _codes(self, field: Any, keys: set[Any]) -> dict[str, str]:
        """Codes of related rows by primary key; those that are gone are not among them."""
        lookup = self.resource.lookups.get(field.name)
        if not keys or lookup is None:
            return {}
        related: type[Model] = field.related_model
        found = related._default_manager.filter(pk__in=keys).values_list("pk", lookup)
        return {str(pk): str(code) for pk, code in found}

    def differences(self, change: RowChange) -> Iterator[Difference]:
        before, after = change.before or {}, change.after or {}
        for column in {**after, **before}:
            if self._is_own_key(column):
                continue
            old, new = before.get(column), after.get(column)
            if isinstance(old, dict) or isinstance(new, dict):
                yield from self._within(column, old or {}, new or {})
            elif old != new or change.outcome == "updated":
                yield Difference(self._name(column), self._value(column, old),
                                 self._value(column, new))  # fmt: skip

    def _within(self, column: str, old: dict, new: dict) -> Iterator[Difference]:
        """The keys of a JSON object that differ."""
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                name = f"{self._name(column)}: {key}"
                yield Difference(name, _text(old.get(key)), _text(new.get(key)))

    def _is_own_key(self, column: str) -> bool:
        field = self.fields.get(column)
        return bool(field is not None and getattr(field, "primary_key", False))

    def _name(self, column: str) -> str:
        field = self.fields.get(column)
        return capfirst(str(field.verbose_name)) if field is not None else column

    def _value(self, column: str, value: Any) -> str | None:
        codes = self.codes.get(column)
        if codes is None:
            return _text(value)
        if isinstance(value, list):
            return _text(", ".join(codes.get(str(key), f"#{key}") for key in value))
        return _text(value if value is None else codes.get(str(value), f"#{value}"))


def _keys(changes: Iterable[RowChange], column: str) -> set[Any]:
    found: set[Any] = set()
    for change in changes:
        for image in (change.before, change.after):
            value = (image or {}).get(column)
            found.update(value if isinstance(value, list) else [] if value is None else [value])
    return found


def _listed(value: Any) -> str:
    """Texts as they are, lists with commas, small objects as `unit: GRAM, amount: 2.5`."""
    if isinstance(value, str):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not parts or any(isinstance(part, dict | list) for part in parts):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    return ", ".join(str(part) for part in value)


def _text(value: Any) -> str | None:
    """A value as people read it, cut where it is long; None for nothing."""
    if value in (None, "", [], {}):
        return None
    if isinstance(value, bool):
        return "Yes" if value else "No"
    text = _listed(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
