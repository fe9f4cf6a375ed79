"""Begin an attempt: the one place where a queued execution becomes a running one."""

from __future__ import annotations

import socket
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from jobs.definition import REGISTRY
from jobs.models import Attempt, JobExecution
from jobs.models.base import ClockNow, database_now, seconds
from jobs.permissions import may
from jobs.states import Event, Status


def claim(pk: str, worker: str, task_id: str = "") -> JobExecution | None:
    """Begin an attempt at a queued execution, or None when it is not ours to begin.

    A second copy of the same message, a message for what has been stopped, and one for code that
    this worker does not have come to nothing.
    """
    with transaction.atomic():
        row = (
            JobExecution.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
            .filter(pk=pk, status=Status.QUEUED)
            .select_related("profile", "user")
            .first()
        )
        if row is None or (row.retry_at and row.retry_at > database_now()) or not _knows(row):
            return None
        if row.user_id and not (right := may(row.user, "launch", row.profile or REGISTRY[row.job])):
            row.transition(Event.FAIL, error=f"{right.reason} It was not started.")
            return None
        lease = seconds(settings.JOBS_LEASE_SECONDS)
        row.transition(
            Event.START,
            attempt=F("attempt") + 1,
            job_version=REGISTRY[row.job].version(),
            worker=worker,
            node=socket.gethostname(),
            task_id=task_id,
            lease_expires_at=ClockNow() + lease,
            progress_at=ClockNow(),
            console_open=True,
            started_at=Coalesce("started_at", ClockNow()),
            deadline_at=_deadline(row),
            retry_at=None,
        )
        Attempt.objects.create(execution=row, number=row.attempt, worker=worker, node=row.node)
    return row


def _knows(row: JobExecution) -> bool:
    """This worker has the job's code, and the version that earlier attempts began with."""
    job = REGISTRY.get(row.job)
    return job is not None and (row.attempt == 0 or job.version() == row.job_version)


def _deadline(row: JobExecution) -> CombinedExpression | None:
    if row.timeout_seconds is None:
        return None
    return ClockNow() + timedelta(seconds=max(0.0, row.timeout_seconds - row.running_seconds))
