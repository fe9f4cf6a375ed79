"""Tasks that somebody revoked or terminated outside of Millrace: Celery's command line, Flower."""

from __future__ import annotations

import uuid

from django.db import connection, transaction

from jobs.dispatch import task_id_of
from jobs.engine.recover import close_console
from jobs.models import JobExecution
from jobs.states import HELD, Event, Status

# A frozen job may hold the row's lock; the worker that asks has better things to do than wait.
LOCK_SECONDS = 2


def abort_revoked(task_id: str, *, terminated: bool) -> bool:
    """Abort the execution whose message was thrown away, or whose task was terminated.

    Only if that message was its last one and it is still queued, or if that task is the attempt
    that runs: what was stopped or dispatched anew is not touched. Returns whether it was aborted.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        row = _find(task_id)
        if row is None:
            return False
        if terminated and row.status in HELD and row.task_id == task_id:
            row.transition(Event.ABORT, why="terminated from outside")
            close_console(row, row.attempt)
            return True
        if row.status == Status.QUEUED and task_id == _last_message(row):
            row.transition(Event.ABORT, why="revoked from outside")
            return True
    return False


def _find(task_id: str) -> JobExecution | None:
    try:
        pk = uuid.UUID(task_id.partition(".")[0])
    except ValueError:
        return None
    return JobExecution.objects.select_for_update(no_key=True).filter(pk=pk).first()


def _last_message(row: JobExecution) -> str:
    return task_id_of(row.pk, row.attempt, row.dispatch_count)
