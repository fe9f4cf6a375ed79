"""A worker's right to work on one execution: how it is proved, kept and lost."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from django.conf import settings

from jobs.engine import shutdown
from jobs.models import JobExecution
from jobs.states import HELD, Status

FENCE = """
UPDATE jobs_jobexecution SET
  lease_expires_at = clock_timestamp() + make_interval(secs => %s), progress_at = clock_timestamp(),
  checkpoints = checkpoints + %s, warnings_count = warnings_count + %s, version = version + 1
WHERE id = %s AND attempt = %s AND status = ANY(%s)
RETURNING status, deadline_at <= clock_timestamp()
"""


class Lost(BaseException):
    """Another worker, or nobody, holds the lease now: write nothing more.

    Not an Exception: no `except Exception` of a job may catch it.
    """


class Halt(BaseException):
    """Pause, stop, shutdown or the time limit: let go at this checkpoint."""


@dataclass
class Lease:
    """The right to work on `execution` as its attempt number `attempt`."""

    execution: JobExecution
    attempt: int
    status: str = Status.RUNNING
    timed_out: bool = False

    def fence(self, cursor: psycopg.Cursor, *, progress: bool, warnings: int = 0) -> None:
        """Prove the lease, renew it and hear what people asked for, in one UPDATE.

        The last statement of every transaction of a job. Raises Lost, which rolls it all back.
        `progress` says that the next attempt would begin behind this point: crashes are counted
        anew from here.
        """
        length = settings.JOBS_LEASE_SECONDS
        held = [str(status) for status in HELD]
        cursor.execute(
            FENCE, [length, int(progress), warnings, self.execution.pk, self.attempt, held]
        )
        row = cursor.fetchone()
        if row is None:
            raise Lost(self.execution.pk)
        self.status, self.timed_out = row[0], bool(row[1])

    def check(self) -> None:
        """Raise Halt when it is time to let go, as of the last fence."""
        if self.status != Status.RUNNING or self.timed_out or shutdown.requested():
            raise Halt
