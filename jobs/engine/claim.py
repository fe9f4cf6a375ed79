"""Begin an attempt: the one place where a queued execution becomes a running one."""

from __future__ import annotations

import socket
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from jobs.definition import REGISTRY
from jobs.engine.admission import NotYet, admit
from jobs.models import Attempt, JobExecution, Maintenance, PausedQueue, Worker
from jobs.models.base import ClockNow, seconds
from jobs.permissions import may, may_launch_with
from jobs.states import Event, Status


def claim(pk: str, worker: str, task_id: str = "") -> JobExecution | None:
    """Begin an attempt at a queued execution, or None when it is not ours to begin.

    A second copy of the same message, and a message for what has been stopped come to nothing.
    What this worker does not fit, or what cannot start now, counts as not told any more: it is
    sent again when somebody can take it.
    """
    with transaction.atomic():
        row = _find(pk, worker)
        if row is None:
            return None
        held_back = row.is_held_back  # type: ignore[attr-defined] # annotated
        if held_back or not (_knows(row) and _fits(row, worker)):
            _put_back(row, NotYet())
            return None
        if why := _lacks_right(row):
            said = "It does not go on." if row.attempt else "It was not started."
            row.transition(Event.FAIL, error=f"{why} {said}")
            return None
        try:
            admit(row)
        except NotYet as later:
            _put_back(row, later)
            return None
        _begin(row, worker, task_id)
    return row


def _find(pk: str, worker: str) -> JobExecution | None:
    """The queued row, locked; `is_held_back` when people or a moment let nothing start."""
    paused = PausedQueue.objects.filter(name=OuterRef("queue"))
    draining = Worker.objects.filter(name=worker, drain_requested_at__isnull=False)
    return (
        JobExecution.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        .filter(pk=pk, status=Status.QUEUED)
        .select_related("profile", "user")
        .annotate(
            is_held_back=Q(retry_at__isnull=False, retry_at__gt=ClockNow())
            | Exists(Maintenance.objects.all())
            | Exists(paused)
            | Exists(draining)
        )
        .first()
    )


def _knows(row: JobExecution) -> bool:
    """This worker has the job's code, and the version that earlier attempts began with."""
    job = REGISTRY.get(row.job)
    return job is not None and (row.attempt == 0 or job.version() == row.job_version)


def _fits(row: JobExecution, worker: str) -> bool:
    """This worker is where it is aimed at, and serves its queue."""
    if not (row.aimed_node or row.aimed_roles):
        return True
    here = Worker.objects.filter(name=worker, queues__contains=[row.queue]).first()
    return (
        here is not None
        and row.aimed_node in ("", here.node)
        and set(row.aimed_roles) <= set(here.roles)
    )


def _lacks_right(row: JobExecution) -> str:
    """Why whoever launched it may not any more, as a sentence."""
    if row.user is None:
        return f"The account of {row.username} is gone." if row.username else ""
    if not row.user.is_active:
        return f"The account of {row.username or row.user.get_username()} is disabled."
    if row.undoes:
        return may(row.user, "undo", row.undoes).reason
    job = REGISTRY[row.job]
    decision = may(row.user, "launch", row.profile or job)
    return (decision and may_launch_with(row.user, job, row.parameters)).reason


def _put_back(row: JobExecution, later: NotYet) -> None:
    """It waits again, and does not count as told."""
    fields = {"retry_at": later.until, "reason": later.why, "version": F("version") + 1}
    JobExecution.objects.filter(pk=row.pk).update(
        dispatched_at=None, **(fields if later.until else {})
    )


def _begin(row: JobExecution, worker: str, task_id: str) -> None:
    row.transition(
        Event.START,
        attempt=F("attempt") + 1,
        job_version=REGISTRY[row.job].version(),
        worker=worker,
        node=socket.gethostname(),
        task_id=task_id,
        lease_expires_at=ClockNow() + seconds(settings.JOBS_LEASE_SECONDS),
        progress_at=ClockNow(),
        console_open=True,
        started_at=Coalesce("started_at", ClockNow()),
        deadline_at=_deadline(row),
        retry_at=None,
    )
    Attempt.objects.create(execution=row, number=row.attempt, worker=worker, node=row.node)


def _deadline(row: JobExecution) -> CombinedExpression | None:
    if row.timeout_seconds is None:
        return None
    return ClockNow() + timedelta(seconds=max(0.0, row.timeout_seconds - row.running_seconds))
