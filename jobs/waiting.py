"""Why an execution is not running, as one sentence from data."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format

from jobs.models import JobExecution, Worker
from jobs.states import HELD, Status


@dataclass(frozen=True, slots=True)
class Waiting:
    """`reason` is a code for programs, `text` the sentence for people."""

    reason: str
    text: str


def waiting(execution: JobExecution) -> Waiting | None:
    """Why `execution` waits, or None when it does not."""
    match execution.status:
        case Status.DEFERRED if execution.not_before:
            return Waiting("not_before", f"Held until {_at(execution.not_before)}.")
        case Status.DEFERRED:
            return Waiting("deferred", "Held until somebody activates it.")
        case Status.PAUSED:
            return Waiting("paused", "Paused until somebody resumes it.")
        case Status.QUEUED:
            return _queued(execution)
    return None


def _queued(execution: JobExecution) -> Waiting:
    if execution.retry_at and execution.retry_at > timezone.now():
        return Waiting("retry", f"Its worker was lost; it goes on at {_at(execution.retry_at)}.")
    workers = Worker.objects.live().filter(
        kind=Worker.Kind.WORKER, queues__contains=[execution.queue]
    )
    if not workers:
        return Waiting("no_worker", f"No worker is on the queue “{execution.queue}”.")
    versions = [worker.definitions.get(execution.job) for worker in workers]
    if not any(versions):
        return Waiting("unknown_job", f"No live worker has the code of the job {execution.job!r}.")
    if execution.attempt and execution.job_version not in versions:
        return Waiting("other_version", "No live worker has the version that it began with.")
    queued = JobExecution.objects.filter(status=Status.QUEUED, queue=execution.queue)
    ahead = queued.filter(
        Q(priority__lt=execution.priority) | Q(priority=execution.priority, pk__lt=execution.pk)
    ).count()
    running = JobExecution.objects.filter(status__in=HELD, queue=execution.queue).count()
    slots = sum(worker.slots for worker in workers)
    if ahead:
        return Waiting("queue", f"{ahead} ahead of it; {running} of {slots} slots are busy.")
    if running >= slots:
        return Waiting("slots", f"Next in line; all {slots} slots are busy.")
    return Waiting("starting", "Next in line; a worker is about to take it.")


def _at(moment) -> str:
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")
