"""A worker's right to work on one execution: how it is proved, kept, given back and lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.conf import settings

from jobs.engine import shutdown
from jobs.engine.database import beside
from jobs.models import JobExecution
from jobs.states import HELD, Event, Status

FENCE = """
UPDATE jobs_jobexecution SET
  lease_expires_at = clock_timestamp() + make_interval(secs => %s), progress_at = clock_timestamp(),
  checkpoints = checkpoints + %s, warnings_count = warnings_count + %s, version = version + 1
WHERE id = %s AND attempt = %s AND status = ANY(%s)
RETURNING status, deadline_at <= clock_timestamp(), stop_step
"""
# A stop's deadline does not fall into the moment after the section: the job may still leave by
# itself, at its next checkpoint.
SECTION = """
UPDATE jobs_jobexecution SET
  section = %(name)s::varchar,
  section_until = clock_timestamp() + make_interval(secs => %(seconds)s),
  stop_deadline_at = CASE WHEN %(name)s::varchar = '' THEN greatest(stop_deadline_at,
    clock_timestamp() + make_interval(secs => %(leave)s)) ELSE stop_deadline_at END,
  version = version + 1
WHERE id = %(id)s AND attempt = %(attempt)s AND status = ANY(%(held)s)
RETURNING status, deadline_at <= clock_timestamp(), stop_step
"""


class Lost(BaseException):
    """Another worker, or nobody, holds the lease now: write nothing more.

    Not an Exception: no `except Exception` of a job may catch it.
    """


class Halt(BaseException):
    """Let go at this checkpoint: `event` is what happens, with `why` and fields for its row."""

    def __init__(self, event: Event = Event.RELEASE, why: str = "", **fields: Any):
        super().__init__(why)
        self.event, self.why, self.fields = event, why, fields


class StepStopped(BaseException):
    """Somebody stopped this one step; the execution goes on."""


@dataclass
class Lease:
    """The right to work on `execution` as its attempt number `attempt`."""

    execution: JobExecution
    attempt: int
    status: str = Status.RUNNING
    timed_out: bool = False
    stop_step: int | None = None
    step: int | None = None  # the order of the step that is running
    forked: bool = False  # in a process of its own, not in that of a test
    in_section: bool = False
    has_launched: bool = False  # children, in this attempt
    turns: Any = None  # see jobs.engine.turns.Turns

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
        self._hear(cursor)

    def _hear(self, cursor: psycopg.Cursor) -> None:
        row = cursor.fetchone()
        if row is None:
            raise Lost(self.execution.pk)
        self.status, self.timed_out, self.stop_step = row[0], bool(row[1]), row[2]

    def check(self) -> None:
        """Raise Halt when it is time to let go, as of the last fence; StepStopped for its step."""
        if self.in_section:
            return
        if self.timed_out:
            raise Halt(Event.TIME_OUT, "its time was up")
        if self.status != Status.RUNNING:
            raise Halt
        if shutdown.requested():
            raise Halt(why="its worker shuts down")
        if self.step is not None and self.stop_step == self.step:
            raise StepStopped
        if self.turns:
            self.turns.check()

    @contextmanager
    def section(self, name: str, max_seconds: float) -> Iterator[None]:
        """Work that a stop waits for, at most so long. What was asked before takes effect first."""
        if self.in_section:  # within one that is longer
            yield
            return
        self._set_section(name, max_seconds)
        self.check()
        self.in_section = True
        try:
            yield
        finally:
            self.in_section = False
            self._set_section("", None)

    def _set_section(self, name: str, max_seconds: float | None) -> None:
        """Written beside the job's transaction, so that people see it while it lasts."""
        with beside(forked=self.forked) as cursor:
            cursor.execute(
                SECTION,
                {
                    "name": name[:200],
                    "seconds": max_seconds,
                    "leave": settings.JOBS_KILL_AFTER_SECONDS,
                    "id": self.execution.pk,
                    "attempt": self.attempt,
                    "held": [str(status) for status in HELD],
                },
            )
            self._hear(cursor)
