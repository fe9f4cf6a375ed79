"""A busy installation of real workers violates no invariant at any moment, crashes included."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from jobs import control
from jobs.invariants import Violation, look_at_all
from jobs.models import JobExecution, JobProfile, NotAllowed
from tests.fleet import celery_worker, until

LONG, SHORT = {"rows": 2000, "pause": 0.05}, {"rows": 120, "pause": 0.0}


def test_a_busy_fleet_violates_nothing(controller, variables, launch, own_queue, tmp_path):
    with celery_worker(variables, tmp_path, own_queue, slots=3):
        crashed = launch("samples.chunks", queue=own_queue, **LONG)
        crash(until(crashed, lambda e: e.checkpoints > 2 and e.pid))
        long = [launch("samples.chunks", queue=own_queue, **LONG) for _ in range(6)]
        short = [launch("samples.function", queue=own_queue, **SHORT) for _ in range(20)]
        bad = [launch("samples.bug", queue=own_queue), launch("samples.refuses", queue=own_queue)]
        ours = [crashed, *long, *short, *bad, *one_at_a_time(own_queue)]
        looks = 0
        while (left := still_open(ours)) or looks < 10:
            ask_something(left, looks)
            assert violations_of(ours) == []
            looks += 1
    assert violations_of(ours) == []
    assert "SIGKILL" in crashed.attempts.first().reason


def one_at_a_time(queue: str) -> list[JobExecution]:
    profile = JobProfile.objects.create(
        code=queue, label="One at a time", job="samples.function", queue=queue, concurrency=1
    )
    return [control.launch(profile=profile, parameters=SHORT) for _ in range(6)]


def crash(execution: JobExecution) -> None:
    os.kill(execution.pid, signal.SIGKILL)


def still_open(executions: list[JobExecution]) -> list[JobExecution]:
    found = JobExecution.objects.filter(pk__in=[each.pk for each in executions], finished_at=None)
    return list(found.order_by("pk"))


def ask_something(left: list[JobExecution], turn: int) -> None:
    """A pause, its resumption and a stop, of one or the other that is open."""
    if left:
        request = (control.pause, control.resume, control.stop)[turn % 3]
        with suppress(NotAllowed, control.Refused):
            request(left[turn % 5 % len(left)])
        for each in left:
            with suppress(NotAllowed):
                control.resume(each)


def violations_of(executions: list[JobExecution]) -> list[Violation]:
    """Other tests have left rows of their own in this database."""
    ours = {execution.pk for execution in executions}
    results = look_at_all()
    assert [result.error for result in results if result.error] == []
    return [row for result in results for row in result.violations if row.execution in ours]
