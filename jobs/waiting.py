"""Why an execution is not running, as one sentence from data."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.formats import date_format

from jobs.models import JobExecution
from jobs.models.fleet import SEEN_WITHIN
from jobs.states import HELD, Status

MANY = 1_000  # nobody counts how many more are ahead


@dataclass(frozen=True, slots=True)
class Waiting:
    """`reason` is a code for programs, `text` the sentence for people."""

    reason: str
    text: str


def waiting(execution: JobExecution) -> Waiting | None:
    """Why `execution` waits, or None when it does not."""
    return waiting_for([execution]).get(execution.pk)


def waiting_for(executions: Iterable[JobExecution]) -> dict[uuid.UUID, Waiting]:
    """Why each of these waits, by id; those that do not wait are left out. At most one query."""
    answers, queued = {}, []
    for execution in executions:
        if execution.status == Status.QUEUED and not _is_held_back(execution):
            queued.append(execution)
        elif reason := _held(execution):
            answers[execution.pk] = reason
    return answers | _in_queues(queued)


def _is_held_back(execution: JobExecution) -> bool:
    return execution.retry_at is not None and execution.retry_at > timezone.now()


def _held(execution: JobExecution) -> Waiting | None:
    """What an execution waits for that is not in a queue yet."""
    match execution.status:
        case Status.DEFERRED if execution.not_before:
            return Waiting("not_before", f"Held until {_at(execution.not_before)}.")
        case Status.DEFERRED:
            return Waiting("deferred", "Held until somebody activates it.")
        case Status.PAUSED:
            return Waiting("paused", "Paused until somebody resumes it.")
        case Status.QUEUED if execution.retry_at:
            return Waiting(
                "retry", f"Its worker was lost; it goes on at {_at(execution.retry_at)}."
            )
    return None


# For each execution how many stand before it in its queue and how many of that queue run; and of
# the queue's live workers how many they are, their slots, and which version of the job they know.
PLACES = """
SELECT e.id,
  (SELECT count(*) FROM (
     SELECT FROM jobs_jobexecution q
     WHERE q.status = 'queued' AND q.queue = e.queue AND (q.priority, q.id) < (e.priority, e.id)
     LIMIT %(many)s) ahead),
  (SELECT count(*) FROM jobs_jobexecution h WHERE h.status = ANY(%(held)s) AND h.queue = e.queue),
  live.workers, live.slots, live.versions
FROM jobs_jobexecution e, LATERAL (
  SELECT count(*) AS workers, coalesce(sum(slots), 0) AS slots,
    array_agg(definitions ->> e.job) AS versions
  FROM jobs_worker
  WHERE kind = 'worker' AND e.queue = ANY(queues) AND seen_at > clock_timestamp() - %(seen)s
) live
WHERE e.id = ANY(%(ids)s)
"""


def _in_queues(queued: Sequence[JobExecution]) -> dict[uuid.UUID, Waiting]:
    if not queued:
        return {}
    by_id = {execution.pk: execution for execution in queued}
    values: dict[str, Any] = {"many": MANY, "held": sorted(HELD), "ids": list(by_id)}
    values["seen"] = SEEN_WITHIN
    with connection.cursor() as cursor:
        cursor.execute(PLACES, values)
        return {
            pk: _unable(by_id[pk], workers, versions) or _turn(ahead, running, slots)
            for pk, ahead, running, workers, slots, versions in cursor.fetchall()
        }


def _unable(
    execution: JobExecution, workers: int, versions: Sequence[str | None] | None
) -> Waiting | None:
    """Why no worker of its queue could take it, however long it waits."""
    if not workers:
        return Waiting("no_worker", f"No worker is on the queue “{execution.queue}”.")
    if not any(versions or ()):
        return Waiting("unknown_job", f"No live worker has the code of the job {execution.job!r}.")
    if execution.attempt and execution.job_version not in (versions or ()):
        return Waiting("other_version", "No live worker has the version that it began with.")
    return None


def _turn(ahead: int, running: int, slots: int) -> Waiting:
    if ahead:
        count = f"{MANY:,} or more" if ahead >= MANY else f"{ahead:,}"
        return Waiting("queue", f"{count} ahead of it; {running} of {slots} slots are busy.")
    if running >= slots:
        return Waiting("slots", f"Next in line; all {slots} slots are busy.")
    return Waiting("starting", "Next in line; a worker is about to take it.")


def _at(moment: dt.datetime) -> str:
    local = timezone.localtime(moment)
    return f"{date_format(local, 'j M Y, H:i')} {local.tzname()}"
