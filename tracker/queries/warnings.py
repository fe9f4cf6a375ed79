"""The warnings of an execution: what was left out, by reason, a page at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import QueryDict

from jobs.models import JobExecution, RejectedRow, StepWarning
from jobs.reasons import COUNTED, Reason, Sentence, alike, reasons

PAGE_SIZE = 50
# The last warning of a page in an address: its row, if it has one, and its id.
PLACE = re.compile(r"(?P<row>\d{0,18})-(?P<pk>\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """A reason in the overview: all warnings of a group, or those of it that say one sentence."""

    count: int
    text: str
    column: str
    outcome: str
    row: int | None
    address: str
    is_current: bool
    is_part: bool = False


class Warnings:
    """One page of them by row, as the address asks.

    `code`, `column` and `outcome` name a group, `like` a warning whose sentence they share;
    `find` is looked for in them, and `after` is the place where the page begins.
    """

    GROUP = ("code", "column", "outcome")

    def __init__(self, execution: JobExecution, params: QueryDict):
        self.execution = execution
        self.group = {name: str(params[name]) for name in self.GROUP if name in params}
        like = params.get("like", "")
        self.like = int(like) if _is_row(like) else None
        self.find = params.get("find", "").strip()
        self.after = PLACE.fullmatch(params.get("after", ""))

    @cached_property
    def reasons(self) -> list[Line]:
        """The most frequent reasons, and under each with several sentences the most frequent."""
        if not self.execution.warnings_count:
            return []
        return [line for reason in reasons(self.execution) for line in self._lines(reason)]

    def _lines(self, reason: Reason) -> list[Line]:
        if reason.kinds == 1:
            return [self._line(reason, reason.sentences[0])]
        group = {name: getattr(reason, name) for name in self.GROUP}
        words = reason.code.replace("_", " ").capitalize()
        current = self.group == group
        address = self._address(**({} if current else group))
        text = f"{words}: {reason.kinds:,} different ones"
        outcome = StepWarning.Outcome(reason.outcome).label
        whole = Line(reason.count, text, reason.column, outcome, None, address, current)
        return [whole, *(self._line(reason, said, is_part=True) for said in reason.sentences)]

    def _line(self, reason: Reason, said: Sentence, *, is_part: bool = False) -> Line:
        current = self.like == said.like
        address = self._address(**({} if current else {"like": said.like}))
        return Line(
            count=said.count,
            text=said.message,
            column=reason.column,
            outcome=StepWarning.Outcome(reason.outcome).label,
            row=said.row,
            address=address,
            is_current=current,
            is_part=is_part,
        )

    @staticmethod
    def _address(**more: str | int) -> str:
        return "?" + urlencode({"tab": "warnings", **more})

    @property
    def is_sampled(self) -> bool:
        return self.execution.warnings_count > COUNTED

    @property
    def sample(self) -> int:
        return COUNTED

    def _filtered(self) -> QuerySet[StepWarning]:
        found = self.execution.warnings.all()
        if self.like is not None:
            found = alike(found, self.like)
        found = found.filter(self._behind(), **self.group)
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
    def _page(self) -> list[Any]:
        """Warnings; `is_kept` says that the row itself was kept as it stood in the file."""
        order = (F("row").asc(nulls_last=True), "pk")
        kept = RejectedRow.objects.filter(execution=self.execution, row=OuterRef("row"))
        found = self._filtered().annotate(is_kept=Exists(kept))
        return list(found.order_by(*order)[: PAGE_SIZE + 1])

    @property
    def rows(self) -> list[Any]:
        return self._page[:PAGE_SIZE]

    @property
    def is_filtered(self) -> bool:
        return bool(self.chosen)

    @property
    def chosen(self) -> dict[str, str]:
        return self.kind | ({"find": self.find} if self.find else {})

    @property
    def kind(self) -> dict[str, str]:
        """The reason that is chosen, as the address has it."""
        return self.group | ({"like": str(self.like)} if self.like is not None else {})

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


@dataclass(frozen=True, slots=True)
class Cell:
    column: str
    value: str
    reasons: list[str]


class Rejected:
    """A row as it stood in the file; the cells that something is wrong about come first."""

    def __init__(self, found: RejectedRow):
        self.row = found.row
        warnings = list(found.execution.warnings.filter(row=found.row)[:PAGE_SIZE])
        columns = found.step.columns or []
        width = max(len(columns), len(found.cells))
        names = [*columns, *(f"Column {place}" for place in range(len(columns) + 1, width + 1))]
        values = [*found.cells, *[""] * (width - len(found.cells))]
        cells = [
            Cell(name, value, [said.message for said in warnings if said.column == name])
            for name, value in zip(names, values, strict=True)
        ]
        self.cells = sorted(cells, key=lambda cell: not cell.reasons)
        self.reasons = [said.message for said in warnings if said.column not in names]
