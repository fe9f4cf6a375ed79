"""The product with one promise taken out. Each of these must turn the campaign red."""

from __future__ import annotations

import inspect
import select
import time

from jobs import states
from jobs.engine import claim, lease
from jobs.engine.database import own_connection
from tests.faults.sample import jobs

QUEUED_ONLY = ".filter(pk=pk, status=Status.QUEUED)"
OURS, ANYBODYS = "WHERE id = %s AND attempt = %s", "WHERE id = %s AND %s > 0"


def without_fence() -> None:
    """A chunk commits although another attempt has the execution."""
    assert OURS in lease.FENCE
    lease.FENCE = lease.FENCE.replace(OURS, ANYBODYS)


def without_status_at_claim() -> None:
    """Every message starts an attempt, whatever the execution is doing."""
    for status in states.HELD | states.FINISHED:
        states.MOVES[states.Event.START][status] = states.Status.RUNNING
    source = inspect.getsource(claim)
    assert QUEUED_ONLY in source
    exec(source.replace(QUEUED_ONLY, ".filter(pk=pk)"), vars(claim))


def deaf_to_stops() -> None:
    """Whoever takes an execution back puts it into the queue, though a stop was asked for."""
    states.MOVES[states.Event.RELEASE][states.Status.STOPPING] = states.Status.QUEUED


def without_one_transaction() -> None:
    """What the job writes is committed at once, its checkpoint later."""

    def at_once(workspace, rows) -> None:
        with own_connection() as own:
            for row in rows:
                own.execute(
                    "INSERT INTO samples_effect (execution, row, attempt) VALUES (%s, %s, %s)",
                    [workspace.execution_id, row, workspace._execution.attempt],
                )

    jobs.write_effects = at_once


def sleep_by_select() -> None:
    """No mutant: libfaketime breaks the call by which time.sleep() sleeps."""
    time.sleep = lambda seconds: select.select([], [], [], seconds)


def second_release() -> None:
    """No mutant: the code of a job as another release has it."""
    jobs.RowsOfAttempts.source = staticmethod(lambda: "the second release")
