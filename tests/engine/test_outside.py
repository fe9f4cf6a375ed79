"""What operators do with Celery's own tools, and how it is told apart from a deploy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from celery import current_app

from config.local.servers import Valkey, stop_servers
from jobs import control, dispatch
from jobs.dispatch import task_id_of
from jobs.engine.outside import abort_revoked
from jobs.models import JobExecution
from jobs.models.base import ClockNow
from jobs.states import Status
from tests.fleet import ROOT, Process, celery_worker, eventually, finished, is_alive, until
from tests.samples.models import Effect

SLOW = {"rows": 2000, "pause": 0.05}
NO_REPLY = 69  # who shuts down says nothing more
FOREVER = {"rows": 100_000, "pause": 0.05}


def celery(variables: dict[str, str], *arguments: str, status: int = 0) -> str:
    """Run Celery's command line; returns what it said."""
    command = [sys.executable, "-m", "celery", "-A", "config", *arguments]
    done = subprocess.run(
        command, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def name_of(process: Process) -> str:
    return process.log.stem


@pytest.fixture
def own_worker(variables, tmp_path, own_queue):
    """A worker with one slot on a queue of its own."""
    with celery_worker(variables, tmp_path, own_queue, slots=1) as process:
        yield process


def running(execution: JobExecution) -> JobExecution:
    return until(execution, lambda e: e.status == Status.RUNNING and e.pid and e.checkpoints)


def sent(queue: str, **parameters: int) -> JobExecution:
    """An execution whose message lies in the queue, and is not soon taken for lost."""
    execution = control.launch(job="samples.chunks", parameters=parameters, deferred=True)
    JobExecution.objects.filter(pk=execution.pk).update(queue=queue, dispatch_count=5)
    execution.refresh_from_db()
    control.activate(execution)
    return until(execution, lambda e: e.dispatched_at)


def message(execution: JobExecution) -> str:
    return task_id_of(execution.pk, execution.attempt, execution.dispatch_count)


def revoke_last_message(
    execution: JobExecution, worker: Process, variables: dict[str, str]
) -> None:
    """Revoke it at a worker; a broker that answers slowly is given another one meanwhile."""
    to_it = ("--destination", name_of(worker), "--timeout", "20")  # it answers when it knows
    revoked = ""
    while revoked != (last := message(execution)):
        celery(variables, "control", *to_it, "revoke", last)
        revoked = last
        execution.refresh_from_db()


def test_a_queued_task_that_is_revoked_is_aborted(
    variables, controller, own_worker, own_queue, launch
):
    first = running(launch("samples.chunks", queue=own_queue, **FOREVER))
    second = sent(own_queue)
    revoke_last_message(second, own_worker, variables)
    control.abort(first)
    finished(first)
    until(second, lambda e: e.status == Status.ABORTED)
    assert second.history.last().reason == "revoked from outside"
    assert second.attempt == 0


@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL"])
def test_a_running_task_that_is_terminated_is_aborted(
    variables, controller, own_worker, own_queue, launch, number
):
    execution = running(launch("samples.chunks", queue=own_queue, **FOREVER))
    pid = execution.pid
    celery(variables, "control", "terminate", number, execution.task_id)
    finished(execution)
    assert execution.status == Status.ABORTED
    assert execution.history.last().reason == "terminated from outside"
    eventually(lambda: not is_alive(pid), "the job's process is gone")
    step = execution.steps.get()
    assert Effect.objects.filter(execution=execution.pk).count() == step.done
    assert execution.attempt == 1
    # The worker goes on to work.
    assert finished(launch("samples.chunks", queue=own_queue, rows=10)).status == Status.COMPLETED


def test_a_remote_shutdown_releases_like_a_deploy(
    variables, controller, tmp_path, own_queue, launch
):
    with celery_worker(variables, tmp_path, own_queue, slots=1) as first:
        execution = running(launch("samples.chunks", queue=own_queue, **SLOW))
        celery(variables, "control", "shutdown", "-d", name_of(first), status=NO_REPLY)
        until(execution, lambda e: e.status == Status.QUEUED)
        assert first.popen.wait(15) == 0
    assert execution.crashes == 0
    with celery_worker(variables, tmp_path, own_queue, slots=1):
        finished(execution)
    assert (execution.status, execution.attempt) == (Status.COMPLETED, 2)
    assert execution.attempts.first().ended_by == "release"


def test_a_deploy_releases_and_aborts_nothing(variables, controller, tmp_path, own_queue, launch):
    with celery_worker(variables, tmp_path, own_queue, slots=1) as first:
        execution = running(launch("samples.chunks", queue=own_queue, **SLOW))
        waiting = sent(own_queue, rows=10)
        first.kill_group(signal.SIGTERM)  # to the children too, as a careless unit file does
        first.popen.wait(15)
    with celery_worker(variables, tmp_path, own_queue, slots=1):
        finished(execution)
        finished(waiting)
    assert (execution.status, execution.crashes) == (Status.COMPLETED, 0)
    assert waiting.status == Status.COMPLETED


def test_a_purged_queue_is_sent_again(variables, controller, own_worker, own_queue, launch):
    first = running(launch("samples.chunks", queue=own_queue, **FOREVER))
    second = sent(own_queue, rows=10)
    assert "Purged" in celery(variables, "purge", "-f", "-Q", own_queue)
    control.stop(first)
    finished(second)
    assert second.status == Status.COMPLETED
    assert second.dispatch_count > 6


def test_our_own_revoke_throws_the_message_away(
    variables, controller, own_worker, own_queue, launch
):
    first = running(launch("samples.chunks", queue=own_queue, **FOREVER))
    second = sent(own_queue)
    told = message(second)
    control.stop(second)
    eventually(lambda: told in celery(variables, "inspect", "revoked"), "the worker knows")
    control.abort(first)
    finished(first)
    second.refresh_from_db()
    assert second.status == Status.STOPPED
    assert second.history.last().event == "stop"


def test_only_the_last_message_counts(launch, own_queue):
    execution = launch("samples.chunks", queue=own_queue)
    JobExecution.objects.filter(pk=execution.pk).update(dispatch_count=2)
    assert not abort_revoked(task_id_of(execution.pk, 0, 1), terminated=False)
    assert not abort_revoked(task_id_of(execution.pk, 1, 2), terminated=False)
    assert not abort_revoked("not-one-of-ours", terminated=False)
    execution.refresh_from_db()
    assert execution.status == Status.QUEUED
    assert abort_revoked(task_id_of(execution.pk, 0, 2), terminated=False)
    assert not abort_revoked(task_id_of(execution.pk, 0, 2), terminated=False)


def test_a_revoked_message_does_not_end_what_runs(worker, launch):
    execution = running(launch("samples.chunks", **FOREVER))
    assert not abort_revoked(execution.task_id, terminated=False)
    control.abort(execution)
    finished(execution)


@pytest.fixture
def frozen_broker(tmp_path, monkeypatch):
    """A broker that takes connections and answers nothing."""
    broker = Valkey(tmp_path, durable=False)
    (tmp_path / "logs").mkdir()
    broker.start()
    broker.process.wait_until(broker.answers)
    monkeypatch.setattr(current_app.conf, "broker_write_url", broker.url)
    dispatch._drop_broker()
    os.kill(broker.process.pid, signal.SIGSTOP)
    yield
    os.kill(broker.process.pid, signal.SIGCONT)
    stop_servers([broker])
    dispatch._drop_broker()
    dispatch._deaf.until = 0.0


def test_a_broker_that_hangs_holds_nobody_up(own_queue, frozen_broker, caplog):
    executions = [
        control.launch(job="samples.chunks", deferred=True, name=f"{number}")
        for number in range(30)
    ]
    found = JobExecution.objects.filter(pk__in=[execution.pk for execution in executions])
    found.update(status=Status.QUEUED, queue=own_queue, dispatched_at=ClockNow())
    began = time.monotonic()
    for execution in found:
        control.stop(execution)
    assert time.monotonic() - began < 5  # each alone would wait for 0.3 s
    assert caplog.text.count("did not take a revoke") == 1  # and then leaves it alone
    assert all(execution.status == Status.STOPPED for execution in found.all())


def test_the_next_revoke_waits_until_the_broker_may_have_come_back(frozen_broker):
    took = []
    for _ in range(3):
        began = time.monotonic()
        assert not dispatch.revoke(["a"])
        took.append(time.monotonic() - began)
    assert 0.2 < took[0] < 1
    assert max(took[1:]) < 0.05
    dispatch._deaf.until = 0.0
    began = time.monotonic()
    assert not dispatch.revoke(["a"])
    assert time.monotonic() - began > 0.2
