"""The process that keeps promises when nobody else is there to: `manage.py jobs controller`.

It takes executions back from dead workers, publishes what is queued, acts when a deadline passes,
and delivers the outbox. Any number may run: every statement is a compare-and-set or skips locked
rows. It needs no broker to write the truth.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.utils import timezone

from jobs.dispatch import dispatch, redispatch_if_empty
from jobs.engine import children
from jobs.engine.recover import close_lost_consoles, take_back_expired
from jobs.engine.versions import fail_unclaimable
from jobs.invariants import watch_invariants
from jobs.models import JobExecution, NotAllowed, Worker
from jobs.models.base import ClockNow
from jobs.notices import tell_of_stalled
from jobs.outbox import Courier
from jobs.schedules import fire_due
from jobs.states import Event, Status

log = logging.getLogger(__name__)

FORGET_AFTER = timedelta(hours=1)
AT_ONCE = 500  # rows that one look handles; the rest waits for the next


class Controller:
    """Looks around every JOBS_CONTROLLER_SECONDS until it is asked to leave."""

    def __init__(self) -> None:
        self.leaving = threading.Event()
        self.name = f"controller@{socket.gethostname()}.{os.getpid()}"
        self.started_at = timezone.now()

    def run(self) -> None:
        """Look around until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.leaving.set())
        courier = Courier()
        courier.start()
        while not self.leaving.is_set():
            self.look()
            self.leaving.wait(settings.JOBS_CONTROLLER_SECONDS)
        courier.leave()
        with suppress(DatabaseError):
            Worker.objects.filter(name=self.name).delete()

    def look(self) -> None:
        """Keep every promise that is due. One that fails does not hold up the others."""
        for promise in (
            self._report,
            recover,
            children.look_after,
            keep_deadlines,
            fail_unclaimable,
            fire_due,
            tell_of_stalled,
            dispatch_all,
            watch_invariants,
        ):
            try:
                promise()
            except DatabaseError as error:
                log.warning("%s: the database did not answer: %s", _name(promise), error)
                connection.close()
            except Exception:
                log.exception("%s failed; it is tried again.", _name(promise))

    def _report(self) -> None:
        Worker.objects.update_or_create(
            name=self.name,
            defaults={
                "kind": Worker.Kind.CONTROLLER,
                "node": socket.gethostname(),
                "pid": os.getpid(),
                "started_at": self.started_at,
                "seen_at": ClockNow(),
            },
        )


def _name(promise: Callable) -> str:
    return promise.__name__.strip("_")


def recover() -> None:
    """Take back what workers that are gone have left, and forget those long unheard of."""
    take_back_expired()
    close_lost_consoles()
    Worker.objects.filter(seen_at__lt=ClockNow() - FORGET_AFTER).delete()


def keep_deadlines() -> None:
    """Activate what was held until now; expire what has waited too long."""
    due = JobExecution.objects.filter(status=Status.DEFERRED, not_before__lte=ClockNow())
    _each(due, Event.ACTIVATE, why="Its time has come.")
    late = JobExecution.objects.filter(
        status__in=(Status.DEFERRED, Status.QUEUED), started_at=None, expires_at__lte=ClockNow()
    )
    _each(late, Event.EXPIRE, why="It was not started before its deadline.")


def _each(executions: QuerySet[JobExecution], event: Event, *, why: str) -> None:
    for execution in executions.order_by("pk")[:AT_ONCE]:
        with suppress(NotAllowed):  # another controller, a worker or a person was faster
            execution.transition(event, why=why)


def dispatch_all() -> None:
    """Publish what is queued, as far as the queues' workers will soon take it."""
    queues = JobExecution.objects.filter(status=Status.QUEUED).order_by("queue")
    for queue in queues.values_list("queue", flat=True).distinct():
        redispatch_if_empty(queue)
        dispatch(queue)


def run() -> None:
    """Be a controller until SIGTERM or SIGINT."""
    Controller().run()
