"""Crashes heal themselves, and every row is written exactly once."""

from __future__ import annotations

import os
import signal
import time

import pytest
import redis
from django.conf import settings

from jobs.dispatch import TASK
from jobs.models import JobExecution
from jobs.states import Status
from tests.engine.test_worker import effects
from tests.fleet import celery_worker, eventually, finished, is_alive, parent_of, until

SLOW = {"rows": 1500, "pause": 0.05}
LEFT_OUT = {row for row in range(1500) if row % 100 in (7, 8)} | {13}
COMPLETE = [row for row in range(1500) if row not in LEFT_OUT]


def assert_complete(execution: JobExecution) -> None:
    assert execution.status == Status.COMPLETED, execution.error
    assert effects(execution) == COMPLETE
    step = execution.steps.get()
    assert (step.done, step.processed) == (len(COMPLETE), 1500)
    assert execution.warnings.count() == step.warnings_count == len(LEFT_OUT)
    numbers = list(execution.attempts.values_list("number", flat=True))
    assert numbers == list(range(1, execution.attempt + 1))
    assert not execution.attempts.filter(ended_at=None).exists()


def test_kill_9_of_the_job_process(worker, launch):
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 3 and e.pid)
    killed = time.monotonic()
    os.kill(execution.pid, signal.SIGKILL)
    until(execution, lambda e: e.attempt == 2)
    assert time.monotonic() - killed < 1
    assert_complete(finished(execution))
    assert "SIGKILL" in execution.attempts.first().reason


def test_kill_9_of_the_supervisor(controller, variables, launch, own_queue, tmp_path):
    with celery_worker(variables, tmp_path, own_queue):
        execution = launch("samples.chunks", queue=own_queue, **SLOW)
        until(execution, lambda e: e.checkpoints > 3 and e.pid)
        job = execution.pid
        os.kill(parent_of(job), signal.SIGKILL)
        eventually(lambda: not is_alive(job), "the job dies with its supervisor", 2)
        assert_complete(finished(execution, 40))


def test_kill_9_of_the_whole_worker(controller, variables, launch, own_queue, tmp_path):
    with celery_worker(variables, tmp_path, own_queue) as first:
        execution = launch("samples.chunks", queue=own_queue, **SLOW)
        until(execution, lambda e: e.checkpoints > 3 and e.pid)
        job = execution.pid
        first.kill()
        eventually(lambda: not is_alive(job), "the job dies with its worker", 2)
    with celery_worker(variables, tmp_path, own_queue):
        assert_complete(finished(execution, 40))


def test_a_frozen_supervisor_is_fenced(controller, variables, launch, own_queue, tmp_path):
    """It thaws when another attempt has the execution: it writes nothing and ends its job."""
    with celery_worker(variables, tmp_path, own_queue):
        execution = launch("samples.chunks", queue=own_queue, **SLOW)
        until(execution, lambda e: e.checkpoints > 3 and e.pid)
        job, supervisor = execution.pid, parent_of(execution.pid)
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(job, signal.SIGSTOP)
        until(execution, lambda e: e.attempt == 2, 30)
        os.kill(job, signal.SIGCONT)
        os.kill(supervisor, signal.SIGCONT)
        assert_complete(finished(execution, 40))
        eventually(lambda: not is_alive(job), "the old job is gone")


def test_a_broker_that_forgets_everything(controller, variables, launch, own_queue, tmp_path):
    with celery_worker(variables, tmp_path, own_queue, slots=1):
        first = launch("samples.chunks", queue=own_queue, **SLOW)
        until(first, lambda e: e.status == Status.RUNNING)
        second = launch("samples.chunks", queue=own_queue, rows=100)
        until(second, lambda e: e.dispatched_at)
        _forget(own_queue)
        assert_complete(finished(first, 40))
        assert finished(second, 40).status == Status.COMPLETED


def _forget(queue: str) -> None:
    url = settings.CELERY_BROKER_URL.replace("redis+socket://", "unix://", 1)
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    client = redis.Redis.from_url(url)
    client.delete(f"{prefix}{queue}")
    client.close()


def test_a_doubled_message_is_harmless(worker, launch):
    from celery import current_app

    execution = launch("samples.chunks", rows=500, pause=0.05)
    for _ in range(6):
        current_app.send_task(TASK, [str(execution.pk)], queue="default")
    finished(execution)
    assert execution.attempt == 1
    assert len(effects(execution)) == len(set(effects(execution)))


def test_a_poisoned_chunk_is_lost_after_three_crashes_with_its_place(worker, launch):
    execution = finished(launch("samples.chunks", rows=500, die_at=120), 40)
    assert execution.status == Status.LOST
    assert execution.attempt == settings.JOBS_MAX_CRASHES
    assert "behind item 100" in execution.error
    assert max(effects(execution)) == 99


def test_sigterm_to_the_worker_releases_at_a_checkpoint(
    controller, variables, launch, own_queue, tmp_path
):
    with celery_worker(variables, tmp_path, own_queue) as first:
        execution = launch("samples.chunks", queue=own_queue, **SLOW)
        until(execution, lambda e: e.checkpoints > 3 and e.pid)
        asked = time.monotonic()
        first.kill(signal.SIGTERM)
        until(execution, lambda e: e.status == Status.QUEUED)
        first.popen.wait(10)
        assert time.monotonic() - asked < 10
    assert execution.crashes == 0
    with celery_worker(variables, tmp_path, own_queue):
        assert_complete(finished(execution, 40))


def test_sigterm_to_the_supervisor_alone_aborts(worker, launch):
    """Celery's own terminate reaches only the child: somebody ended the task on purpose."""
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 3 and e.pid)
    os.kill(parent_of(execution.pid), signal.SIGTERM)
    finished(execution)
    assert execution.status == Status.ABORTED
    assert execution.history.last().reason == "terminated from outside"


@pytest.mark.usefixtures("controller")
def test_the_database_ends_the_session_of_a_job(worker, launch):
    from django.db import connection

    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 3 and e.pid)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            [f"millrace {execution.pk}.{execution.attempt}"],
        )
        assert cursor.fetchall()
    assert_complete(finished(execution, 40))
