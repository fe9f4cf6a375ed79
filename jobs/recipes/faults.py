"""What became of the rows of a batch: the good ones, and why the others were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from jobs.definition import Counters, ItemWarning
from jobs.formats.base import Batch

VALUE_LIMIT = 200  # characters of a value within a warning


@dataclass(slots=True)
class Parsed:
    """The good rows of a batch, with their places in it, and what became of the others."""

    rows: list[Any]  # lines or tuples: see Form
    indexes: list[int]
    keys: list[str]
    warnings: list[ItemWarning]
    counters: Counters
    rejected: list[tuple[int, list[str]]]


@dataclass(slots=True)
class Faults:
    """What is wrong with the rows of a batch.

    `unread` is by the record's index in the batch; `found` and `skipped` by its place among those
    that could be read, whose `indexes` and `keys` follow.
    """

    batch: Batch
    unread: dict[int, list[ItemWarning]] = field(default_factory=dict)
    found: dict[int, list[ItemWarning]] = field(default_factory=dict)
    skipped: int = 0
    indexes: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    notes: list[ItemWarning] = field(default_factory=list)

    def add_unread(
        self, index: int, code: str, message: str, column: str = "", value: str = ""
    ) -> None:
        warning = ItemWarning(
            code=code,
            message=message,
            row=self.batch.rows[index],
            column=column,
            value=shown(value),
        )
        self.unread.setdefault(index, []).append(warning)

    def add(self, place: int, column: str, value: str, error: Exception) -> None:
        code = next((each.code for each in getattr(error, "error_list", ()) if each.code), None)
        messages = getattr(error, "messages", None) or [str(error)]
        self._add(place, (code or "invalid", " ".join(messages)), column, value)

    def skip(self, place: int, reason: str) -> None:
        self.skipped += 1
        self._add(place, ("skipped", reason), outcome="skipped")

    def note(self, column: str, said: list[tuple[str, str]]) -> None:
        """Say of values what would happen to them; their rows are no worse for it."""
        self.notes += [
            ItemWarning(
                code="would_create",
                message=message,
                column=column,
                value=shown(value),
                outcome="kept",
            )
            for value, message in said
        ]

    def _add(
        self,
        place: int,
        said: tuple[str, str],
        column: str = "",
        value: str = "",
        *,
        outcome: str = "failed",
    ) -> None:
        warning = ItemWarning(
            code=said[0],
            message=said[1],
            row=self.batch.rows[self.indexes[place]],
            key=shown(self.keys[place]),
            column=column,
            value=shown(value),
            outcome=outcome,
        )
        self.found.setdefault(place, []).append(warning)

    def parsed(self, rows: Sequence[Any], indexes: list[int], keys: list[str]) -> Parsed:
        warnings = [
            each for found in (self.unread, self.found) for of in found.values() for each in of
        ]
        failed = len(self.unread) + len(self.found) - self.skipped
        good: Sequence[int] = range(len(rows))
        if self.found:
            good = [place for place in good if place not in self.found]
            rows = [rows[place] for place in good]
            keys = [keys[place] for place in good]
            indexes = [indexes[place] for place in good]
        return Parsed(
            rows=[row for row in rows if row is not None],
            indexes=indexes,
            keys=keys,
            warnings=self.notes + sorted(warnings, key=lambda warning: warning.row or 0),
            counters=Counters(failed=failed, skipped=self.skipped),
            rejected=self._rejected(),
        )

    def _rejected(self) -> list[tuple[int, list[str]]]:
        """The rows that failed, as they stand in the file."""
        failed = [
            self.indexes[place]
            for place, warnings in self.found.items()
            if any(warning.outcome == "failed" for warning in warnings)
        ]
        rows, records = self.batch.rows, self.batch.records
        return [(rows[index], records[index]) for index in (*self.unread, *failed)]


def shown(value: str) -> str:
    """A text that a database can keep, cut to the length of a warning's value."""
    cut = value if len(value) <= VALUE_LIMIT else value[: VALUE_LIMIT - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:VALUE_LIMIT]


def by_field(error: ValidationError) -> list[tuple[str, ValidationError]]:
    """What an error says, with the field of each; without one the name is empty."""
    if not hasattr(error, "error_dict"):
        return [("", error)]
    return [(name, each) for name, found in error.error_dict.items() for each in found]
