"""Executions that no worker can go on with, because the code that they began with is gone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from jobs.definition import REGISTRY
from jobs.models import JobExecution, NotAllowed
from jobs.models.fleet import SEEN_WITHIN
from jobs.states import Event

# Since when the version has been gone: it was there at the end of the last attempt, and where a
# worker has reported it since; and nobody is missed before it is in line and other workers of its
# queue are up, which have the job in another version.
GONE = """
SELECT e.id, gone.since FROM jobs_jobexecution e, LATERAL (
  SELECT greatest(
      e.queued_at,
      (SELECT max(a.ended_at) FROM jobs_attempt a WHERE a.execution_id = e.id),
      max(w.seen_at) FILTER (WHERE w.definitions ->> e.job = e.job_version),
      min(w.started_at) FILTER (WHERE w.seen_at > clock_timestamp() - %(seen)s)
    ) AS since,
    bool_or(w.seen_at > clock_timestamp() - %(seen)s) AS others
  FROM jobs_worker w
  WHERE w.kind = 'worker' AND w.definitions ? e.job AND e.queue = ANY(w.queues)
) gone
WHERE e.status = 'queued' AND e.attempt > 0
  AND gone.others AND gone.since < clock_timestamp() - make_interval(secs => %(wait)s)
ORDER BY e.id LIMIT 100
"""


def fail_unclaimable() -> None:
    """Fail what has waited JOBS_VERSION_WAIT_SECONDS for a version that no live worker has."""
    with connection.cursor() as cursor:
        times: dict[str, Any] = {
            "seen": SEEN_WITHIN,
            "wait": settings.JOBS_VERSION_WAIT_SECONDS,
        }
        cursor.execute(GONE, times)
        gone = cursor.fetchall()
    for pk, since in gone:
        with suppress(JobExecution.DoesNotExist, NotAllowed):
            execution = JobExecution.objects.get(pk=pk)
            label = REGISTRY[execution.job].label if execution.job in REGISTRY else execution.job
            execution.transition(
                Event.FAIL,
                holder=execution.attempt,
                error=f"It began with version {execution.job_version} of “{label}”; no worker has"
                f" that version since {timezone.localtime(since):%H:%M}."
                " Relaunch it.",
            )
