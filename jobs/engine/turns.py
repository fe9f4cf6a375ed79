"""Whose turn it is: an execution lets others go first when its time is over, or when told to.

Looked at about once a second, at checkpoints, and before the first step.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.db import connection

from jobs.definition import Job, Throttle
from jobs.engine.lease import Halt
from jobs.models import JobExecution
from jobs.models.base import ClockNow, seconds
from jobs.models.fleet import SEEN_WITHIN
from jobs.states import HELD

LOOK_SECONDS = 1.0
# Somebody waits for a slot of this queue, and none is free.
OTHERS_WAIT = """
SELECT EXISTS (
  SELECT FROM jobs_jobexecution WHERE status = 'queued' AND queue = %(queue)s
    AND priority <= %(priority)s AND coalesce(retry_at <= clock_timestamp(), true)
) AND (
  SELECT coalesce(sum(slots), 0) FROM jobs_worker
  WHERE kind = 'worker' AND %(queue)s = ANY(queues) AND seen_at > clock_timestamp() - %(seen)s
) <= (
  SELECT count(*) FROM jobs_jobexecution WHERE status = ANY(%(held)s) AND queue = %(queue)s
)
"""


class Turns:
    """Raises Halt when `job` should let go of its worker for a while."""

    def __init__(self, job: Job, execution: JobExecution):
        own = job.slice_seconds
        self.slice_seconds = settings.JOBS_SLICE_SECONDS if own is None else own
        self.throttle, self.execution = job.throttle, execution
        self.began, self.look_at = time.monotonic(), 0.0

    def check(self) -> None:
        """Raise Halt if a throttle holds it back or if its time slice is over."""
        now = time.monotonic()
        if now < self.look_at:
            return
        self.look_at = now + LOOK_SECONDS
        if self.throttle:
            self._hold_back(self.throttle)
        if self.slice_seconds and now - self.began > self.slice_seconds and self._others_wait():
            raise Halt(why="others had their turn", queued_at=ClockNow())

    def _hold_back(self, throttle: Throttle) -> None:
        if answer := throttle.condition():
            why = answer if isinstance(answer, str) else "Its job asked to be held back."
            again = ClockNow() + seconds(throttle.backoff_seconds)
            raise Halt(why=why, reason=why, retry_at=again)

    def _others_wait(self) -> bool:
        values: dict[str, Any] = {
            "queue": self.execution.queue,
            "priority": self.execution.priority,
            "seen": SEEN_WITHIN,
            "held": [str(status) for status in HELD],
        }
        with connection.cursor() as cursor:
            cursor.execute(OTHERS_WAIT, values)
            return cursor.fetchone()[0]
