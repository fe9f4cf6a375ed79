"""A bad item costs one item: halve a failing chunk until the item at fault stands alone."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError
from psycopg import errors

from jobs.definition import Counters, ItemWarning, Skip

# What may be the fault of one item. Everything else is the fault of the job or the database.
ITEM_ERRORS = (
    Skip,
    ValidationError,
    IntegrityError,
    DataError,
    errors.IntegrityError,
    errors.DataError,
)

Outcome = tuple[Counters, list[ItemWarning]]


def halve(
    low: int,
    high: int,
    write: Callable[[int, int], Counters],
    refuse: Callable[[int, Exception], ItemWarning],
) -> Outcome:
    """Write the items low <= number < high, all at once if possible.

    `write` must leave nothing behind when it raises: it works inside a savepoint. An item that
    fails alone is counted, as skipped for Skip and as failed otherwise, with `refuse`'s warning.
    """
    if low >= high:
        return Counters(), []
    try:
        return write(low, high), []
    except ITEM_ERRORS as error:
        if high - low == 1:
            return count_refused(error), [refuse(low, error)]
    middle = (low + high) // 2
    first, second = halve(low, middle, write, refuse), halve(middle, high, write, refuse)
    return first[0] + second[0], first[1] + second[1]


def count_refused(error: Exception) -> Counters:
    """An item that raised Skip is skipped, any other has failed."""
    return Counters(skipped=1) if isinstance(error, Skip) else Counters(failed=1)


def outcome_of(error: Exception) -> str:
    """What its warning says became of the item."""
    return "skipped" if isinstance(error, Skip) else "failed"


def explain(error: Exception) -> tuple[str, str]:
    """The code and the sentence of an item's error."""
    if isinstance(error, Skip):
        return "skipped", str(error) or "The job left it out."
    if isinstance(error, ValidationError):
        return getattr(error, "code", None) or "invalid", " ".join(error.messages)
    cause = error.__cause__ if isinstance(error.__cause__, errors.Error) else error
    diagnostic = getattr(cause, "diag", None)
    said = getattr(diagnostic, "message_primary", None) or str(error).split("\n")[0]
    detail = getattr(diagnostic, "message_detail", None)
    return "refused", f"The database refused it: {said}.{f' {detail}' if detail else ''}"
