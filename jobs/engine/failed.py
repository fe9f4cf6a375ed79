"""What *retry failed* takes: the items that failed in the execution that it continues."""

from __future__ import annotations

from jobs import control
from jobs.models import JobExecution, Takes


def failed_keys(execution: JobExecution, step: str) -> frozenset[str] | None:
    """The keys of the items of a step to take up again; None for all items."""
    before = _before(execution)
    if before is None:
        return None
    keys = control.failed_items(before).filter(step__name=step).exclude(key="")
    return frozenset(keys.values_list("key", flat=True))


def failed_rows(execution: JobExecution) -> frozenset[int] | None:
    """The numbers of the rows to take up again; None for all rows."""
    before = _before(execution)
    if before is None:
        return None
    rows = control.failed_items(before).exclude(row=None)
    return frozenset(row for row in rows.values_list("row", flat=True) if row is not None)


def _before(execution: JobExecution) -> JobExecution | None:
    """The execution whose failed items are meant; that of the parent for a part of a step."""
    if execution.takes != Takes.FAILED:
        return None
    whole = execution.parent if execution.partition is not None else execution
    return whole.continues if whole else None
