"""What an undo would do, as its dialog shows it before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User

from jobs import control
from jobs.models import JobExecution, RowChange
from tracker.queries.changes import Line, lines

ACTS = {
    "restore": ("Put back to what they were", RowChange.Outcome.UPDATED),
    "delete": ("Deleted, as the import created them", RowChange.Outcome.DELETED),
    "recreate": ("Created again", RowChange.Outcome.CREATED),
}
CONFLICTS = {
    "changed_since": "Changed since by somebody",
    "referenced": "In use elsewhere",
    "gone": "No longer there",
    "exists": "There again already",
}


@dataclass(frozen=True, slots=True)
class Act:
    """Rows to which the same would happen, and how the first of them would change."""

    text: str
    count: int
    examples: list[Line]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rows that would be left alone; `examples` are keys with a sentence."""

    text: str
    count: int
    examples: list[tuple[str, str]]


class UndoDialog:
    def __init__(self, user: User, execution: JobExecution, *, chain: bool):
        self.user, self.execution, self.chain = user, execution, chain

    @cached_property
    def reason(self) -> str:
        """Why it cannot be undone, or not by this person; nothing when it can."""
        return str(control.actions(self.user, self.execution)["undo"]["reason"])

    @cached_property
    def preview(self) -> control.UndoPreview:
        return control.undo_preview(self.execution, chain=self.chain)

    @property
    def acts(self) -> list[Act]:
        counts, examples = self.preview.counts, self.preview.examples
        return [
            Act(text, counts[name], self._lines(outcome, examples.get(name, ())))
            for name, (text, outcome) in ACTS.items()
            if counts.get(name)
        ]

    def _lines(self, outcome: str, planned: Iterable[Any]) -> list[Line]:
        changes = [
            RowChange(row=one.row, key=one.key, outcome=outcome, before=one.now, after=one.then)
            for one in planned
        ]
        return lines(self.execution, changes)

    @property
    def conflicts(self) -> list[Conflict]:
        counts, examples = self.preview.counts, self.preview.examples
        return [
            Conflict(text, counts[name], [(one.key, one.message) for one in examples[name]])
            for name, text in CONFLICTS.items()
            if counts.get(name)
        ]

    @property
    def does_anything(self) -> bool:
        return bool(self.preview.undone)
