"""What became of items, and why some were left out, as the command line tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Count, Min, QuerySet

from jobs.definition import COUNTERS
from jobs.models import JobExecution, StepExecution, StepWarning

REASONS = 10
ROWS = 3
TOLD = [name for name in COUNTERS if name != "done"]  # the rest of what was processed


def counts(steps: Iterable[StepExecution], of: int | None = None) -> str:
    """Return `6 processed, 5 updated, 1 failed`, without what is zero; or `6 of 9 processed`."""
    steps = list(steps)
    told = {name: sum(getattr(step, name) for step in steps) for name in TOLD}
    processed = sum(step.processed for step in steps)
    parts = [f"{count:,} {name}" for name, count in told.items() if count]
    total = f" of {of:,}" if of else ""
    return ", ".join([f"{processed:,}{total} processed", *parts])


def number_of_warnings(count: int) -> str:
    """Return `1 warning`, `5 warnings`."""
    return f"{count:,} {'warning' if count == 1 else 'warnings'}"


def reasons(execution: JobExecution) -> list[str]:
    """Return a line for each reason why something was left out, the most frequent first."""
    groups = execution.warnings.order_by().values("code", "message")
    groups = groups.annotate(count=Count("pk"), first=Min("row"))
    found = list(groups.order_by("-count", "first", "code", "message")[: REASONS + 1])
    lines = [_reason(execution, group) for group in found[:REASONS]]
    return lines if len(found) <= REASONS else [*lines, "and other reasons"]


def _reason(execution: JobExecution, group: Mapping[str, Any]) -> str:
    alike = execution.warnings.filter(code=group["code"], message=group["message"])
    return f"{group['count']:,} × {group['message']} `{group['code']}`{_where(alike)}"


def _where(alike: QuerySet[StepWarning]) -> str:
    """Return ` (row 7)`, ` (rows 7, 9, 12, …)`, or nothing if they have no rows."""
    numbers = alike.exclude(row=None).order_by("row").values_list("row", flat=True).distinct()
    first = [str(row) for row in numbers[: ROWS + 1]]
    if not first:
        return ""
    shown = [*first[:ROWS], *(["…"] if len(first) > ROWS else [])]
    return f" ({'row' if len(first) == 1 else 'rows'} {', '.join(shown)})"
