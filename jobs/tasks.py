"""The one Celery task, and what a Celery worker tells about itself."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import Any

from celery import shared_task
from celery.signals import worker_init, worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection
from django.utils import timezone

from jobs import checks
from jobs.definition import REGISTRY
from jobs.dispatch import TASK
from jobs.engine import shutdown
from jobs.engine.claim import claim
from jobs.engine.supervisor import supervise
from jobs.models import Worker

log = logging.getLogger(__name__)

REPORT_SECONDS = 5


@shared_task(name=TASK, bind=True, max_retries=0)
def run(self: Any, execution_id: str) -> None:
    """Run one execution, if it is still queued. The message may be lost, late or doubled."""
    if shutdown.requested():
        return  # another worker takes it
    execution = _claim(execution_id, self.request.hostname, self.request.id)
    if execution:
        supervise(execution)


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
def _refuse_to_start_wrong(**_: Any) -> None:
    """End with what is wrong, before anything is claimed. Celery's own checks are not heard."""
    found = [check for check in run_checks(tags=[checks.TAG]) if check.is_serious(ERROR)]
    if found:
        sys.exit("This worker does not start.\n" + "\n".join(map(str, found)))


@worker_ready.connect
def _report_from_now_on(sender: Any, **_: Any) -> None:
    """Tell who is here, now and every five seconds, in the main process's own loop."""
    report = _Report(sender)
    report()
    sender.timer.call_repeatedly(REPORT_SECONDS, report)


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    shutdown.request()


@worker_shutdown.connect
def _sign_off(sender: Any, **_: Any) -> None:
    try:
        Worker.objects.filter(name=sender.hostname).delete()
    except DatabaseError:
        log.warning("The worker's row could not be deleted; it will grow stale.")
    connection.close()


class _Report:
    """Writes the worker's row. The connection is closed each time: children must not inherit it."""

    def __init__(self, consumer: Any):
        self.consumer, self.started_at = consumer, timezone.now()

    def __call__(self) -> None:
        try:
            Worker.objects.update_or_create(
                name=self.consumer.hostname,
                defaults={
                    "kind": Worker.Kind.WORKER,
                    "node": socket.gethostname(),
                    "pid": os.getpid(),
                    "queues": sorted(queue.name for queue in self.consumer.task_consumer.queues),
                    "slots": 0 if shutdown.requested() else self.consumer.pool.num_processes,
                    "definitions": {name: job.version() for name, job in REGISTRY.items()},
                    "started_at": self.started_at,
                    "seen_at": timezone.now(),
                },
            )
        except DatabaseError:
            log.warning("The worker could not report itself; the database does not answer.")
        finally:
            connection.close()
