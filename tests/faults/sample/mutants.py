"""The product with one promise taken out. Each of these must turn the campaign red."""

from __future__ import annotations

from jobs import states
from jobs.engine import lease, recover, supervisor
from jobs.engine.database import own_connection
from jobs.models import JobExecution
from tests.faults.sample import jobs

HELD_BY_US = "WHERE id = %s AND attempt = %s AND status = ANY(%s)"


def without_fence() -> None:
    """A chunk commits although another attempt has the execution."""
    assert HELD_BY_US in lease.FENCE
    anybody = "WHERE id = %s AND %s > 0 AND %s::text[] IS NOT NULL"
    lease.FENCE = lease.FENCE.replace(HELD_BY_US, anybody)


def without_status_at_claim() -> None:
    """Every message starts an attempt, whatever the execution is doing."""
    for status in states.HELD | states.FINISHED:
        states.MOVES[states.Event.START][status] = states.Status.RUNNING
    manager = JobExecution.objects

    class Careless:
        def __getattr__(self, name):
            return getattr(manager, name)

        def select_for_update(self, **options):
            return Unfiltered(manager.select_for_update(**options))

    class Unfiltered:
        def __init__(self, rows):
            self.rows = rows

        def filter(self, **conditions):
            conditions.pop("status", None)
            return self.rows.filter(**conditions)

    class Shadow:
        """JobExecution as the claim sees it."""

        objects = Careless()

        def __getattr__(self, name):
            return getattr(JobExecution, name)

    supervisor.JobExecution = Shadow()


def deaf_to_stops() -> None:
    """Whoever takes an execution back puts it into the queue, though a stop was asked for."""
    states.MOVES[states.Event.RELEASE][states.Status.STOPPING] = states.Status.QUEUED
    assert recover.take_back


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
