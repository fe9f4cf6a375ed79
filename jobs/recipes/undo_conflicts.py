"""What an undo does to single rows, and what it says of those that it leaves alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from jobs.definition import ItemWarning, Skip


class Conflict(Skip):
    """One row that cannot be undone: the code and the sentence of its warning."""

    def __init__(self, code: str, message: str):
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Planned:
    """What undoing does to one row: an act, or a conflict's code with its sentence.

    `now` and `then` are the images that it leaves and goes back to; null where there is no row.
    """

    verdict: str
    row: int | None
    key: str
    now: dict[str, Any] | None
    then: dict[str, Any] | None
    message: str
    column: str


def words_of(verdict: str, now: Any, after: Any, said: str | None) -> tuple[str, str]:
    """The sentence of a conflict, and the column it is about."""
    match verdict:
        case "gone":
            return "The row is gone: it was deleted since.", ""
        case "exists":
            return "The row is there again, and is left as it is.", ""
        case "referenced":
            return f"It was created and is referred to since, by {said}: it stays.", ""
        case "changed_since":
            return _changed(now, after)
    return "", ""


def _changed(now: dict[str, Any], after: dict[str, Any]) -> tuple[str, str]:
    names = [name for name in after if now.get(name) != after[name]]
    if not names:
        return "It was linked to others since.", ""
    is_now, was = (_shown(image.get(names[0])) for image in (now, after))
    more = f", and {len(names) - 1} more" if len(names) > 1 else ""
    return f"It was changed since: {names[0]} is {is_now}, and was made {was}{more}.", names[0]


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    text = f"“{value}”" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def warning_of(one: Planned) -> ItemWarning:
    value = _shown(one.now.get(one.column)) if one.column and one.now else ""
    return ItemWarning(
        code=one.verdict,
        message=one.message,
        row=one.row,
        key=one.key,
        column=one.column,
        value=value,
        outcome="skipped",
    )


def conflict_of(error: psycopg.Error) -> Conflict:
    """What the database's refusal to undo one row means."""
    said = error.diag.message_detail or error.diag.message_primary or str(error)
    match error:
        case psycopg.errors.ForeignKeyViolation() if "still referenced" in said:
            return Conflict("referenced", f"Others refer to the row: it stays. {said}")
        case psycopg.errors.ForeignKeyViolation():
            return Conflict("gone", f"What it referred to is gone. {said}")
        case psycopg.errors.UniqueViolation():
            return Conflict("exists", f"Another row has its values now. {said}")
    return Conflict("refused", f"The database refused it: {said}")
