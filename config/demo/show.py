"""Executions in a terminal: a bar while they run, a line when they are finished."""

import sys
import time
from typing import TextIO

from django.db.models import Count, Sum

from jobs.definition import COUNTERS
from jobs.models import JobExecution, StepWarning
from jobs.states import Status

WIDTH = 30
REASONS_SHOWN = 8
LOOK_SECONDS = 0.2


def follow(execution: JobExecution, deadline: float, out: TextIO = sys.stdout) -> bool:
    """Show the execution until it is finished; False when the deadline, monotonic, comes first."""
    bar = _Bar(out)
    while not execution.is_finished:
        if time.monotonic() > deadline:
            bar.clear()
            out.write(
                f"“{execution.name}” is still {execution.get_status_display().lower()} and did not "
                "finish in time. The logs of worker and controller say why.\n"
            )
            return False
        bar.draw(execution)
        time.sleep(LOOK_SECONDS)
        execution.refresh_from_db()
    bar.clear()
    out.write(summary(execution))
    out.flush()
    return True


class _Bar:
    """A progress bar on one line; nothing where the output is no terminal."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.live = out.isatty()

    def draw(self, execution: JobExecution) -> None:
        if not self.live:
            return
        percent = execution.percent
        full = WIDTH * (percent or 0) // 100
        share = "  …" if percent is None else f"{percent:3}%"
        processed = sum(step.processed for step in execution.steps.all())
        text = f"{execution.name[:28]:28} {'█' * full}{'░' * (WIDTH - full)} {share} {processed:,}"
        self.out.write(f"\r\x1b[K{text}")
        self.out.flush()

    def clear(self) -> None:
        if self.live:
            self.out.write("\r\x1b[K")


def summary(execution: JobExecution) -> str:
    """Return a line with name, status, counters and seconds, then why rows were left out."""
    counted = execution.steps.aggregate(**{name: Sum(name) for name in COUNTERS})
    counters = [f"{sum(filter(None, counted.values())):,} processed"]
    counters += [f"{counted[name]:,} {name}" for name in COUNTERS if counted[name]]
    if execution.warnings_count:
        many = "" if execution.warnings_count == 1 else "s"
        counters.append(f"{execution.warnings_count:,} warning{many}")
    if execution.started_at and execution.finished_at:
        counters.append(f"{(execution.finished_at - execution.started_at).total_seconds():.1f} s")
    lines = [f"{execution.name}: {execution.status}, {', '.join(counters)}"]
    if execution.status != Status.COMPLETED:
        lines.append(f"    {execution.error or execution.reason}")
    return "\n".join([*lines, *_reasons(execution)]) + "\n"


def _reasons(execution: JobExecution) -> list[str]:
    """Return the warnings by code and column, the most frequent first, each with an example."""
    groups = (
        execution.warnings.values("code", "column").annotate(rows=Count("pk")).order_by("-rows")
    )
    lines = []
    for group in groups[:REASONS_SHOWN]:
        one = execution.warnings.filter(code=group["code"], column=group["column"])[0]
        lines.append(f"    {group['rows']:,} × {one.message}{_where(one)}")
    if len(groups) > REASONS_SHOWN:
        lines.append(f"    and {len(groups) - REASONS_SHOWN} other reasons")
    return lines


def _where(warning: StepWarning) -> str:
    """Return ` (row 532, HOL-000532)`, without what is not known."""
    row = "" if warning.row is None else f"row {warning.row}"
    known = ", ".join(filter(None, (row, warning.key)))
    return f" ({known})" if known else ""
