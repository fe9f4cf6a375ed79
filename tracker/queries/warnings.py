"""The warnings of an execution: what was left out, by reason, a page at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from django.db.models import Count, F, Q, QuerySet
from django.http import QueryDict

from jobs.models import JobExecution, StepWarning

PAGE_SIZE = 50
GROUPED = 10_000  # so many are looked at to count reasons
# The last warning of a page in an address: its row, if it has one, and its id.
PLACE = re.compile(r"(?P<row>\d{0,18})-(?P<pk>\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reason:
    """Warnings of one code and column; `address` shows only these."""

    code: str
    column: str
    count: int
    address: str
    is_current: bool


class Warnings:
    """One page of them by row, as the address asks: `code`, `column`, `find`, `after` (a place)."""

    def __init__(self, execution: JobExecution, params: QueryDict):
        self.execution = execution
        self.code, self.column = params.get("code", ""), params.get("column", "")
        self.find = params.get("find", "").strip()
        self.after = PLACE.fullmatch(params.get("after", ""))

    @cached_property
    def reasons(self) -> list[Reason]:
        """The most frequent reasons, counted among the first GROUPED warnings."""
        first = self.execution.warnings.order_by("id").values("pk")[:GROUPED]
        found = StepWarning.objects.filter(pk__in=first).order_by()
        counted = found.values("code", "column").annotate(count=Count("pk")).order_by("-count")
        return [self._reason(**group) for group in counted[:20]]

    def _reason(self, code: str, column: str, count: int) -> Reason:
        current = (code, column) == (self.code, self.column)
        chosen = {} if current else {"code": code, "column": column}
        return Reason(code, column, count, self._address(**chosen), current)

    @staticmethod
    def _address(**more: str | int) -> str:
        return "?" + urlencode({"tab": "warnings", **more})

    @property
    def is_sampled(self) -> bool:
        return self.execution.warnings_count > GROUPED

    @property
    def sample(self) -> int:
        return GROUPED

    def _filtered(self) -> QuerySet[StepWarning]:
        found = self.execution.warnings.filter(self._behind())
        if self.code:
            found = found.filter(code=self.code, column=self.column)
        if self.find:
            text = self.find
            matches = Q(key__icontains=text) | Q(value__icontains=text) | Q(message__icontains=text)
            found = found.filter(matches | Q(row=int(text)) if _is_row(text) else matches)
        return found

    def _behind(self) -> Q:
        """What comes after the last page; warnings without a row are the last of all."""
        if self.after is None:
            return Q()
        pk = int(self.after["pk"])
        if not self.after["row"]:
            return Q(row=None, pk__gt=pk)
        row = int(self.after["row"])
        return Q(row__gt=row) | Q(row=row, pk__gt=pk) | Q(row=None)

    @cached_property
    def _page(self) -> list[StepWarning]:
        order = (F("row").asc(nulls_last=True), "pk")
        return list(self._filtered().order_by(*order)[: PAGE_SIZE + 1])

    @property
    def rows(self) -> list[StepWarning]:
        return self._page[:PAGE_SIZE]

    @property
    def is_filtered(self) -> bool:
        return bool(self.code or self.find)

    @property
    def chosen(self) -> dict[str, str]:
        chosen = {"code": self.code, "column": self.column} if self.code else {}
        return {**chosen, **({"find": self.find} if self.find else {})}

    @property
    def next(self) -> str:
        if len(self._page) <= PAGE_SIZE:
            return ""
        last = self.rows[-1]
        return self._address(
            **self.chosen, after=f"{'' if last.row is None else last.row}-{last.pk}"
        )

    @property
    def first(self) -> str:
        return self._address(**self.chosen) if self.after else ""


def _is_row(text: str) -> bool:
    return text.isdecimal() and len(text) < 19
