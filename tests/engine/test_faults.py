"""Crashes heal themselves, and every row is written exactly once.

Here are the faults that a shared worker survives; tests/faults has all of them.
"""

from __future__ import annotations

import os
import signal
import time

import pytest
from django.conf import settings
from django.db import connection

from jobs.models import JobExecution
from jobs.states import Status
from tests.engine.test_worker import effects
from tests.fleet import eventually, finished, parent_of, until

SLOW = {"rows": 1500, "pause": 0.05}
LEFT_OUT = {row for row in range(1500) if row % 100 in (7, 8)} | {13}
COMPLETE = [row for row in range(1500) if row not in LEFT_OUT]


def assert_complete(execution: JobExecution) -> None:
    assert execution.status == Status.COMPLETED, execution.error
    assert effects(execution) == COMPLETE
    step = execution.steps.get()
    assert (step.done, step.processed) == (len(COMPLETE), 1500)
    assert execution.warnings.count() == step.warnings_count == len(LEFT_OUT)
    numbers = list(execution.attempts.values_list("number", flat=True))
    assert numbers == list(range(1, execution.attempt + 1))
    assert not execution.attempts.filter(ended_at=None).exists()


def test_kill_9_of_the_job_process(worker, launch):
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 3 and e.pid)
    killed = time.monotonic()
    os.kill(execution.pid, signal.SIGKILL)
    until(execution, lambda e: e.attempt == 2)
    assert time.monotonic() - killed < 1
    assert_complete(finished(execution))
    assert "SIGKILL" in execution.attempts.first().reason


def test_a_poisoned_chunk_is_lost_after_three_crashes_with_its_place(worker, launch):
    execution = finished(launch("samples.chunks", rows=500, die_at=120), 40)
    assert execution.status == Status.LOST
    assert execution.attempt == settings.JOBS_MAX_CRASHES
    assert "behind item 100" in execution.error
    assert max(effects(execution)) == 99


def test_sigterm_to_the_supervisor_alone_aborts(worker, launch):
    """Celery's own terminate reaches only the child: somebody ended the task on purpose."""
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 3 and e.pid)
    os.kill(parent_of(execution.pid), signal.SIGTERM)
    finished(execution)
    assert execution.status == Status.ABORTED
    assert execution.history.last().reason == "terminated from outside"


@pytest.mark.usefixtures("controller")
def test_the_database_ends_the_session_of_a_job(worker, launch):
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 3 and e.pid)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            [f"millrace {execution.pk}.{execution.attempt}"],
        )
        assert cursor.fetchall()
    assert_complete(finished(execution, 40))


def test_a_chunk_that_stood_still_in_its_transaction_goes_on(worker, launch):
    """PostgreSQL has ended its session meanwhile: that is no fault of the job's code."""
    execution = launch("samples.chunks", rows=500, pause=0.3)
    until(execution, lambda e: e.checkpoints > 1 and e.pid)
    eventually(lambda: frozen_in_its_transaction(execution), "it stands still in a transaction")
    eventually(lambda: not idle_sessions(execution), "PostgreSQL ends the session", 10)
    os.kill(execution.pid, signal.SIGCONT)
    finished(execution, 40)
    assert (execution.status, execution.attempt) == (Status.COMPLETED, 2), execution.error


def frozen_in_its_transaction(execution: JobExecution) -> bool:
    os.kill(execution.pid, signal.SIGSTOP)
    if idle_sessions(execution):
        return True
    os.kill(execution.pid, signal.SIGCONT)
    return False


def idle_sessions(execution: JobExecution) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'"
            " AND application_name = %s",
            [f"millrace {execution.pk}.1"],
        )
        return cursor.fetchall()
