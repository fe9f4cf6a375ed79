"""The one Celery task, and what a Celery worker tells about itself."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import suppress
from typing import Any

from celery import bootsteps, shared_task
from celery.signals import (
    task_revoked,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection
from django.utils import timezone

from jobs import checks
from jobs.definition import REGISTRY
from jobs.dispatch import TASK, forget_message, node_queue
from jobs.engine import shutdown
from jobs.engine.claim import claim
from jobs.engine.outside import abort_revoked
from jobs.engine.supervisor import supervise
from jobs.models import Worker
from jobs.models.base import ClockNow

log = logging.getLogger(__name__)

REPORT_SECONDS = 2
# Nothing that is indexed, so that PostgreSQL rewrites the row in place.
RENEW = """
UPDATE jobs_worker SET seen_at = clock_timestamp(), queues = %s, slots = %s
WHERE name = %s RETURNING drain_requested_at IS NOT NULL
"""


@shared_task(name=TASK, bind=True, max_retries=0)
def run(self: Any, execution_id: str) -> None:
    """Run one execution, if it is still queued. The message may be lost, late or doubled."""
    if shutdown.requested():
        _hand_back(execution_id)
        return
    execution = _claim(execution_id, self.request.hostname, self.request.id)
    if execution:
        supervise(execution)


def _hand_back(execution_id: str) -> None:
    """Another worker takes it: at once, or when the message is taken for lost."""
    with suppress(DatabaseError):
        forget_message(execution_id)


def _claim(execution_id: str, worker: str, task_id: str) -> Any:
    """Claim on the connection kept from the task before, or on a new one if that is broken."""
    for last in (False, True):
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('statement_timeout', %s, false)",
                    [f"{settings.JOBS_SELF_FENCE_SECONDS / 4}s"],
                )
            return claim(execution_id, worker, task_id)
        except DatabaseError:
            connection.close()
            if last:
                log.exception("Execution %s was not claimed; it will be sent again.", execution_id)
    return None


@worker_init.connect
def _refuse_to_start_wrong(sender: Any, **_: Any) -> None:
    """End with what is wrong, before anything is claimed. Celery's own checks are not heard."""
    found = [check for check in run_checks(tags=[checks.TAG]) if check.is_serious(ERROR)]
    if found:
        sys.exit("This worker does not start.\n" + "\n".join(map(str, found)))
    sender.app.steps["worker"].add(_LetGo)


@worker_ready.connect
def _report_from_now_on(sender: Any, **_: Any) -> None:
    """Tell who is here, now and every two seconds, in the main process's own loop."""
    own = node_queue(socket.gethostname())
    sender.add_task_queue(own, routing_key=own)
    report = _Report(sender)
    report.introduce()
    sender.timer.call_repeatedly(REPORT_SECONDS, report)


@worker_shutting_down.connect
def _let_go(**_: Any) -> None:
    shutdown.request()


class _LetGo(bootsteps.StartStopStep):
    """`celery control shutdown` sends no signal: that the worker closes is the first one hears."""

    requires = ("celery.worker.components:Pool",)

    def close(self, *_: Any) -> None:
        shutdown.request()


@task_revoked.connect
def _abort_what_was_revoked(request: Any, terminated: bool, **_: Any) -> None:
    """Write down what somebody did with Celery's command line or Flower, in the main process."""
    if shutdown.is_final():
        return  # a deploy ends tasks too, and releases them
    try:
        if abort_revoked(request.id, terminated=terminated):
            log.warning("Task %s was revoked or terminated from outside.", request.id)
    except DatabaseError:
        log.warning("Task %s was revoked, but its row could not be written.", request.id)
    finally:
        connection.close()


@worker_shutdown.connect
def _sign_off(sender: Any, **_: Any) -> None:
    try:
        Worker.objects.filter(name=sender.hostname).delete()
    except DatabaseError:
        log.warning("The worker's row could not be deleted; it will grow stale.")
    connection.close()


class _Report:
    """Writes the worker's row, and hears there whether to drain.

    The connection is closed each time: children must not inherit it.
    """

    def __init__(self, consumer: Any):
        self.consumer, self.started_at = consumer, timezone.now()
        self.draining = False
        self.queues = self._consumed()

    def __call__(self) -> None:
        try:
            wanted = self._renew()
            if wanted is None:
                self.introduce()
            elif wanted != self.draining:
                self._heed(wanted)
                self._renew()
        except DatabaseError:
            log.warning("The worker could not report itself; the database does not answer.")
        finally:
            connection.close()

    def introduce(self) -> None:
        """Write the whole row; whoever starts anew is not draining."""
        try:
            Worker.objects.update_or_create(
                name=self.consumer.hostname,
                defaults={
                    "kind": Worker.Kind.WORKER,
                    "node": socket.gethostname(),
                    "pid": os.getpid(),
                    "queues": self.queues,
                    "slots": self._slots(),
                    "roles": sorted(settings.JOBS_NODE_ROLES),
                    "definitions": {name: job.version() for name, job in REGISTRY.items()},
                    "drain_requested_at": None,
                    "started_at": self.started_at,
                    "seen_at": ClockNow(),
                },
            )
        except DatabaseError:
            log.warning("The worker could not report itself; the database does not answer.")
        finally:
            connection.close()

    def _renew(self) -> bool | None:
        """Say what changes; returns whether it shall drain, or None when its row is gone."""
        if not self.draining:
            self.queues = self._consumed()
        with connection.cursor() as cursor:
            cursor.execute(RENEW, [self.queues, self._slots(), self.consumer.hostname])
            row = cursor.fetchone()
        return row[0] if row else None

    def _heed(self, wanted: bool) -> None:
        """Take no more messages and ask the jobs to let go, or take messages again."""
        self.draining = wanted
        shutdown.drain(wanted=wanted)
        turn = self.consumer.cancel_task_queue if wanted else self.consumer.add_task_queue
        for queue in self.queues:
            turn(queue)
        log.warning("The worker %s.", "drains" if wanted else "takes jobs again")

    def _consumed(self) -> list[str]:
        return sorted(queue.name for queue in self.consumer.task_consumer.queues)

    def _slots(self) -> int:
        return 0 if shutdown.requested() else self.consumer.pool.num_processes
