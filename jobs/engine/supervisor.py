"""Fork the job of a claimed execution and watch over it until it is gone."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection

from jobs.dispatch import dispatch
from jobs.engine import shutdown
from jobs.engine.children import rejoin
from jobs.engine.console import Stream
from jobs.engine.database import cancel_sql, hang_up
from jobs.engine.process import CRASHED, DATABASE_LOST, DONE, JobProcess, fork_job
from jobs.engine.recover import close_console, take_back
from jobs.engine.runner import DatabaseLost, run
from jobs.models import JobExecution
from jobs.states import HELD, Event, Status, StopLevel

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.05
# Longer than psycopg waits before it lets signal handlers run.
ALARM_SECONDS = 0.5
ALARMS_TO_ASK = 3
# A SIGTERM may come a moment before the main process says that it is shutting down.
SHUTDOWN_WORD_SECONDS = 1.0
# A job that has written its end needs a moment to leave.
LEAVE_SECONDS = 1.0

RENEW = """
UPDATE jobs_jobexecution
SET lease_expires_at = clock_timestamp() + make_interval(secs => %s), pid = %s
WHERE id = %s AND attempt = %s AND status = ANY(%s)
RETURNING status, stop_level, stop_deadline_at <= clock_timestamp(),
  deadline_at + make_interval(secs => %s) <= clock_timestamp(),
  section_until > clock_timestamp(), extract(epoch FROM clock_timestamp() - progress_at)
"""

ENDED = """
UPDATE jobs_jobexecution SET console_open = false, version = version + 1
WHERE id = %s AND attempt = %s AND status <> ALL(%s) RETURNING status, queue
"""


def supervise(execution: JobExecution) -> None:
    """Run the attempt in a process of its own and see that its end is written down."""
    Supervisor(execution, fork_job(execution, partial(_work, execution))).run()


def _work(execution: JobExecution) -> int:
    """In the job process: run the attempt."""
    try:
        run(execution)
    except DatabaseLost as error:
        log.error("The database went away: %s", error)  # noqa: TRY400 (no traceback wanted)
        return DATABASE_LOST
    return DONE


def _stall_limit(execution: JobExecution) -> float:
    job = execution.definition
    own = job.stall_limit_seconds if job else None
    return settings.JOBS_STALL_LIMIT_SECONDS if own is None else own


class Supervisor:
    """Watches one job process: renews its lease, reads requests, climbs the stop ladder."""

    def __init__(self, execution: JobExecution, process: JobProcess):
        self.execution, self.attempt, self.process = execution, execution.attempt, process
        self.heard_at = time.monotonic()  # before the last renewal that the database answered
        self.alarms = 0  # since then
        self.renew_at = 0.0
        self.terminated_at: float | None = None  # when this process got SIGTERM
        self.drain_since: float | None = None
        self.interrupted_at: float | None = None
        self.killed_for: Event | None = None  # the event that the kill leads to
        self.disowned_at: float | None = None  # when the lease turned out to be gone
        self.in_section: bool | None = False  # unstoppable, as of the last renewal
        self.stall_limit = _stall_limit(execution)
        self.stalled = False

    def run(self) -> None:
        """Watch until the job process is gone, and write down what it could not."""
        on_sigterm = signal.signal(signal.SIGTERM, self._on_sigterm)
        on_alarm = signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, ALARM_SECONDS, ALARM_SECONDS)
        try:
            self._watch()
        finally:
            self.process.signal_group(signal.SIGKILL)  # also what the job has left running
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, on_alarm)
            signal.signal(signal.SIGTERM, on_sigterm)

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self.terminated_at = self.terminated_at or time.monotonic()

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        """The fence holds even while a call waits for a database that has fallen silent.

        A supervisor that stood still itself asks first: alarms are not made up for.
        """
        self.alarms += 1
        silent = time.monotonic() - self.heard_at > settings.JOBS_SELF_FENCE_SECONDS
        if silent and self.alarms >= ALARMS_TO_ASK:
            self.process.signal_group(signal.SIGKILL)
            hang_up()

    def _watch(self) -> None:
        streams = [
            Stream.open(self.execution, "console", self.process.console),
            Stream.open(self.execution, "debug", self.process.debug),
        ]
        while (exit_status := self.process.exit_status()) is None:
            pipes = [stream.pipe for stream in streams if not stream.closed]
            select.select(pipes, [], [], LOOK_SECONDS)
            self._keep(streams)
            self._beat()
            self._climb()
        self.heard_at = time.monotonic()
        self.process.signal_group(signal.SIGKILL)
        self._keep(streams, last=True)
        for stream in streams:
            os.close(stream.pipe)
        self._settle(exit_status)

    def _keep(self, streams: list[Stream], *, last: bool = False) -> None:
        """Take what the job says and write it down."""
        for stream in streams:
            stream.read()
            try:
                stream.flush(now=last)
            except DatabaseError:
                self._forget_database()

    def _beat(self) -> None:
        """Renew the lease and hear what people asked for; without an answer, fence ourselves."""
        now = time.monotonic()
        if now >= self.renew_at:
            self.renew_at = now + settings.JOBS_HEARTBEAT_SECONDS
            try:
                self._renew()
                self.heard_at, self.alarms = now, 0
            except DatabaseError:
                self._forget_database()
        if now - self.heard_at > settings.JOBS_SELF_FENCE_SECONDS:
            self.process.signal_group(signal.SIGKILL)

    def _renew(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                RENEW,
                [
                    settings.JOBS_LEASE_SECONDS,
                    self.process.pid,
                    self.execution.pk,
                    self.attempt,
                    [str(status) for status in HELD],
                    settings.JOBS_KILL_AFTER_SECONDS,
                ],
            )
            row = cursor.fetchone()
        if row is None:  # ended by the job itself, which is about to leave, or taken over
            self.disowned_at = self.disowned_at or time.monotonic()
            return
        status, level, stop_due, time_due, self.in_section, since_progress = row
        if status == Status.STOPPING and level == StopLevel.KILL:
            self._kill(Event.ABORT)
        elif self.in_section:
            return  # even a stop and the time limit wait for its end
        elif status == Status.STOPPING and (level == StopLevel.INTERRUPT or stop_due):
            self._interrupt(Event.ABORT)
        elif status != Status.STOPPING and time_due:
            self._interrupt(Event.TIME_OUT)
        elif self.stall_limit and since_progress > self.stall_limit:
            self.stalled = True
            self._end_process()

    def _climb(self) -> None:
        """The next rung of the stop ladder, when its moment has come."""
        now = time.monotonic()
        if self.disowned_at and now - self.disowned_at > LEAVE_SECONDS:
            self.process.signal_group(signal.SIGKILL)
        if self.interrupted_at and now - self.interrupted_at > settings.JOBS_KILL_AFTER_SECONDS:
            self.process.signal_group(signal.SIGKILL)
        terminated = self.terminated_at and now - self.terminated_at > SHUTDOWN_WORD_SECONDS
        if terminated and not shutdown.is_final():
            self._kill(Event.ABORT)  # somebody terminated the task from outside
        if shutdown.requested():
            self.drain_since = self.drain_since or now
            if now - self.drain_since > settings.JOBS_DRAIN_SECONDS and not self.in_section:
                self._kill(Event.RELEASE)

    def _interrupt(self, leads_to: Event) -> None:
        """Cancel its SQL and send SIGTERM to the job's group; once."""
        if self.interrupted_at is None:
            self.interrupted_at, self.killed_for = time.monotonic(), leads_to
            self._cancel_sql()
            self.process.signal_group(signal.SIGTERM)

    def _kill(self, leads_to: Event) -> None:
        self.killed_for = self.killed_for or leads_to
        self._end_process()

    def _end_process(self) -> None:
        self.process.signal_group(signal.SIGKILL)
        self._cancel_sql()

    def _cancel_sql(self) -> None:
        with suppress(DatabaseError):
            cancel_sql(self.execution)

    def _forget_database(self) -> None:
        with suppress(DatabaseError):
            connection.close()

    def _settle(self, exit_status: int) -> None:
        """Write down what the job process could not write itself, and tell the workers."""
        why = self._cause(exit_status)
        for wait in (0, 0.5, 1, 2, 4):
            time.sleep(wait)
            self.heard_at = time.monotonic()
            try:
                if not self._has_ended():
                    take_back(self.execution, self.attempt, why=why, event=self.killed_for)
                    close_console(self.execution, self.attempt)
                    self.execution.refresh_from_db(fields=["status", "queue"])
                self._tell()
                return
            except JobExecution.DoesNotExist:
                return
            except DatabaseError:
                self._forget_database()
        log.error("The end of %s could not be written; its lease will expire.", self.execution.pk)

    def _has_ended(self) -> bool:
        """Whether the job has written its end itself; then nothing more of its output comes."""
        values: list[Any] = [self.execution.pk, self.attempt, [str(status) for status in HELD]]
        with connection.cursor() as cursor:
            cursor.execute(ENDED, values)
            row = cursor.fetchone()
        if row:
            self.execution.status, self.execution.queue = row
        return row is not None

    def _tell(self) -> None:
        """Pass on at once what the controller would find within its next looks."""
        dispatch(self.execution.queue)  # it is queued again, or has left its slot to others
        if self.execution.status == Status.JOINING:
            rejoin(JobExecution.objects.filter(pk=self.execution.pk))
        elif self.execution.is_finished and self.execution.parent_id:
            rejoin(JobExecution.objects.filter(pk=self.execution.parent_id))

    def _cause(self, exit_status: int) -> str:
        if self.killed_for == Event.TIME_OUT:
            return "its time was up"
        if self.killed_for == Event.RELEASE:
            return "its worker shuts down"
        if self.killed_for == Event.ABORT:
            return "ended by force" if not self.terminated_at else "terminated from outside"
        if self.stalled:
            return f"it made no progress for {self.stall_limit:g} s"
        if exit_status == DATABASE_LOST:
            return "the database went away"
        if exit_status < 0:
            return f"its process was ended by {signal.Signals(-exit_status).name}"
        if exit_status == CRASHED:
            return "its process crashed"
        return f"its process ended with status {exit_status}"
