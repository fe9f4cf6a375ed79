"""What must be true of an execution of `samples.chunks`, whatever happened to it."""

from __future__ import annotations

import time
from typing import Any

from jobs.models import JobExecution
from jobs.states import Status
from tests.faults.site import Site
from tests.fleet import until
from tests.samples.models import Effect

SLOW = {"rows": 1500, "pause": 0.05}
LONG = {"rows": 3000, "pause": 0.1}  # six seconds


def left_out(rows: int) -> set[int]:
    """Two of a hundred are left out by the job, one of all by the database."""
    return {row for row in range(rows) if row % 100 in (7, 8)} | ({13} if rows > 13 else set())


def tally(execution: JobExecution) -> dict[str, int]:
    """How many rows were written twice, and how many of those that are checkpointed are missing."""
    written = list(Effect.objects.filter(execution=execution.pk).values_list("row", flat=True))
    reached = sum(step.processed for step in execution.steps.all())
    expected = set(range(reached)) - left_out(reached)
    return {"doubled": len(written) - len(set(written)), "lost": len(expected - set(written))}


def assert_whole(execution: JobExecution) -> dict[str, int]:
    """Every row is there exactly once, up to the last checkpoint, and every count agrees."""
    step = execution.steps.get()
    found = tally(execution)
    assert found == {"doubled": 0, "lost": 0}
    assert Effect.objects.filter(execution=execution.pk).count() == step.done
    assert execution.warnings.count() == step.warnings_count == len(left_out(step.processed))
    numbers = list(execution.attempts.values_list("number", flat=True))
    assert numbers == list(range(1, execution.attempt + 1))
    if execution.is_finished:
        assert not execution.attempts.filter(ended_at=None).exists()
    return found


def assert_complete(execution: JobExecution) -> dict[str, int]:
    """It ran to its end, and is whole."""
    assert execution.status == Status.COMPLETED, execution.error or execution.reason
    assert execution.steps.get().processed == execution.parameters["rows"]
    return assert_whole(execution)


def in_the_middle(site: Site, *, queue: str = "", **parameters: Any) -> JobExecution:
    """An execution that has a few checkpoints behind it and more before it."""
    execution = site.launch("samples.chunks", queue=queue, **(SLOW | parameters))
    return until(execution, lambda e: e.checkpoints > 3 and e.pid, 30)


class Watch:
    """Seconds since a fault."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.began, 2)


def goes_on(execution: JobExecution, within: float = 20) -> JobExecution:
    """Its next attempt has committed a checkpoint: it has recovered."""
    attempt, checkpoints = execution.attempt, execution.checkpoints
    return until(execution, lambda e: e.attempt > attempt and e.checkpoints > checkpoints, within)
