"""A real worker drains, says so, and takes jobs again; paused queues and maintenance hold."""

from __future__ import annotations

import time

import pytest

from jobs import control
from jobs.control.fleet import Fleet, WorkerState
from jobs.models import JobExecution, Worker
from jobs.states import Status
from tests.fleet import Process, celery_worker, eventually, finished, until

FOREVER = {"rows": 100_000, "pause": 0.05}


def state_of(process: Process) -> WorkerState:
    return next(one for one in Fleet().workers if one.worker.name == process.log.stem)


def drained(process: Process) -> bool:
    return state_of(process).state == "drained"


def running(execution: JobExecution) -> JobExecution:
    return until(execution, lambda e: e.status == Status.RUNNING and e.checkpoints)


@pytest.fixture
def own_worker(variables, controller, tmp_path, own_queue):
    with celery_worker(variables, tmp_path, own_queue, slots=1) as process:
        yield process


def test_a_drained_worker_hands_over_and_takes_nothing_until_it_is_resumed(
    own_worker, own_queue, launch
):
    execution = running(launch("samples.chunks", queue=own_queue, **FOREVER))
    asked = time.monotonic()
    control.drain([own_worker.log.stem])
    until(execution, lambda e: e.status == Status.QUEUED)
    eventually(lambda: drained(own_worker), "it is safe to restart", 10)
    assert time.monotonic() - asked < 10
    assert execution.crashes == 0
    assert execution.attempts.get().ended_by == "release"
    assert own_queue in state_of(own_worker).worker.queues

    waiting = launch("samples.chunks", queue=own_queue, rows=10)
    seen = Worker.objects.get(name=own_worker.log.stem).seen_at
    eventually(lambda: Worker.objects.filter(seen_at__gt=seen).exists(), "it reports itself")
    waiting.refresh_from_db()
    assert (waiting.status, waiting.attempt) == (Status.QUEUED, 0)

    control.undrain([own_worker.log.stem])
    until(execution, lambda e: e.status == Status.RUNNING and e.attempt == 2)
    control.abort(execution)
    finished(execution)
    assert finished(waiting).status == Status.COMPLETED


def test_another_worker_goes_on_at_once(variables, own_worker, own_queue, launch, tmp_path):
    execution = running(launch("samples.chunks", queue=own_queue, **FOREVER))
    with celery_worker(variables, tmp_path, own_queue, slots=1) as second:
        first = {own_worker.log.stem: second, second.log.stem: own_worker}
        control.drain([execution.worker])
        other = first[execution.worker]
        until(execution, lambda e: e.attempt == 2 and e.status == Status.RUNNING)
        assert execution.worker == other.log.stem
        control.abort(execution)
        finished(execution)


def test_what_is_launched_meanwhile_goes_to_another_worker(
    variables, own_worker, own_queue, launch, tmp_path
):
    control.drain([own_worker.log.stem])
    eventually(lambda: drained(own_worker), "it is drained", 10)
    waiting = launch("samples.chunks", queue=own_queue, rows=10)
    with celery_worker(variables, tmp_path, own_queue, slots=1):
        assert finished(waiting).status == Status.COMPLETED


def test_a_worker_that_starts_anew_is_not_draining(variables, controller, tmp_path, own_queue):
    with celery_worker(variables, tmp_path, own_queue, slots=1) as process:
        name = process.log.stem
        control.drain([name])
        eventually(lambda: drained(process), "it is drained", 10)
        process.kill_group()
        process.popen.wait(5)
        assert Worker.objects.get(name=name).drain_requested_at
        again = Process(process.popen.args, variables, tmp_path / f"{name}.log")
        try:
            eventually(lambda: state_of(process).state == "idle", "it takes jobs", 30)
        finally:
            again.end()


def test_nothing_starts_from_a_paused_queue_and_it_starts_at_once_when_resumed(
    own_worker, own_queue, launch
):
    at_work = running(launch("samples.chunks", queue=own_queue, rows=400, pause=0.05))
    control.pause_queue(own_queue, reason="The disk is full.")
    waiting = launch("samples.chunks", queue=own_queue, rows=10)
    assert finished(at_work).status == Status.COMPLETED  # what runs goes on
    waiting.refresh_from_db()
    assert waiting.attempt == 0
    control.resume_queue(own_queue)
    assert finished(waiting).status == Status.COMPLETED


def test_nothing_starts_during_maintenance(own_worker, own_queue, launch):
    at_work = running(launch("samples.chunks", queue=own_queue, rows=400, pause=0.05))
    control.begin_maintenance("Moving disks.")
    try:
        waiting = launch("samples.chunks", queue=own_queue, rows=10)
        assert finished(at_work).status == Status.COMPLETED
        waiting.refresh_from_db()
        assert (waiting.status, waiting.attempt) == (Status.QUEUED, 0)
    finally:
        control.end_maintenance()
    assert finished(waiting).status == Status.COMPLETED
