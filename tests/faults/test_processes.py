"""Processes that die or freeze: the job, its supervisor, the worker, the controller."""

from __future__ import annotations

import os
import signal

import pytest

from jobs import control
from jobs.states import Status
from tests.faults.assertions import (
    LONG,
    SLOW,
    Watch,
    assert_complete,
    assert_whole,
    goes_on,
    in_the_middle,
)
from tests.fleet import eventually, finished, is_alive, parent_of, until

fault = pytest.mark.fault


@fault("F1", "kill -9 of the job process", "goes on within a second, from its checkpoint")
def test_the_job_process_is_killed(site, saw):
    site.worker()
    execution = in_the_middle(site)
    watch = Watch()
    os.kill(execution.pid, signal.SIGKILL)
    until(execution, lambda e: e.attempt == 2)
    saw(recovered=watch.seconds)
    assert watch.seconds < 2
    saw(**assert_complete(finished(execution)))
    assert "SIGKILL" in execution.attempts.first().reason


@fault("F2", "kill -9 of the supervisor", "the job dies with it; goes on when its lease is over")
def test_the_supervisor_is_killed(site, saw):
    site.controller()
    site.worker()
    execution = in_the_middle(site, **LONG)
    job, watch = execution.pid, Watch()
    os.kill(parent_of(job), signal.SIGKILL)
    eventually(lambda: not is_alive(job), "the job dies with its supervisor", 2)
    saw(job_gone_after=f"{watch.seconds} s")
    goes_on(execution)
    saw(recovered=watch.seconds)
    saw(**assert_complete(finished(execution, 40)))


@fault("F3", "kill -9 of the whole worker", "another worker goes on; what is queued flows there")
def test_the_worker_is_killed(site, saw):
    site.controller()
    first, second = site.worker(slots=1), site.worker("other", ready=False)
    execution = in_the_middle(site, **LONG)
    queued = site.launch("samples.chunks", rows=100)
    site.reported(second)
    job, watch = execution.pid, Watch()
    first.kill()
    eventually(lambda: not is_alive(job), "the job dies with its worker", 2)
    site.worker()
    goes_on(execution, 30)
    saw(recovered=watch.seconds)
    saw(**assert_complete(finished(execution, 40)))
    assert_complete(finished(queued, 40))


@fault("F4", "SIGTERM to the worker's whole process group", "its jobs go on elsewhere")
def test_the_whole_group_is_terminated(site, saw):
    """As a service manager does that signals every process instead of the main one."""
    site.controller()
    first = site.worker()
    execution = in_the_middle(site, **LONG)
    watch = Watch()
    first.kill_group(signal.SIGTERM)
    first.popen.wait(15)
    saw(worker_gone_after=f"{watch.seconds} s")
    site.worker()
    goes_on(execution, 30)
    saw(recovered=watch.seconds)
    saw(**assert_complete(finished(execution, 40)))


@fault("F5", "SIGTERM to the worker: a deploy", "let go at a checkpoint, worker gone, no crash")
def test_a_deploy(site, saw):
    site.controller()
    first = site.worker()
    execution = in_the_middle(site, **LONG)
    watch = Watch()
    first.kill(signal.SIGTERM)
    until(execution, lambda e: e.status == Status.QUEUED)
    first.popen.wait(15)
    saw(worker_gone_after=f"{watch.seconds} s", crashes=execution.crashes)
    assert execution.crashes == 0
    site.worker()
    goes_on(execution, 30)
    saw(recovered=watch.seconds, **assert_complete(finished(execution, 40)))


@fault("F6", "SIGSTOP of the supervisor, its job runs on", "its chunks keep the lease")
def test_the_supervisor_is_frozen_and_its_job_goes_on(site, saw):
    site.controller()
    site.worker()
    execution = in_the_middle(site, rows=1000, pause=0.5)
    job, supervisor, watch = execution.pid, parent_of(execution.pid), Watch()
    os.kill(supervisor, signal.SIGSTOP)
    until(execution, lambda e: e.checkpoints > 14 or e.attempt > 1, 30)
    os.kill(supervisor, signal.SIGCONT)
    finished(execution, 60)
    saw(recovered=watch.seconds, attempts=execution.attempt, **assert_complete(execution))
    eventually(lambda: not is_alive(job), "the job is gone")


@fault("F6", "SIGSTOP of supervisor and job (a zombie), CONT later", "it changes nothing any more")
def test_a_zombie_is_fenced(site, saw):
    site.controller()
    site.worker()
    execution = in_the_middle(site, **LONG)
    job, supervisor, watch = execution.pid, parent_of(execution.pid), Watch()
    for pid in (supervisor, job):
        os.kill(pid, signal.SIGSTOP)
    goes_on(execution, 30)
    saw(recovered=watch.seconds)
    for pid in (job, supervisor):
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: not is_alive(job), "the zombie is gone", 10)
    saw(**assert_complete(finished(execution, 40)))
    assert execution.attempt == 2


@fault("F7", "SIGSTOP of the job in its transaction", "PostgreSQL ends it; locks are free; goes on")
def test_the_job_is_frozen_in_its_transaction(site, saw):
    site.controller()
    site.worker()
    execution = in_the_middle(site, rows=1500, pause=0.3)
    job, watch = execution.pid, Watch()

    def in_transaction() -> list:
        os.kill(job, signal.SIGSTOP)
        idle = site.sql(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
            " AND application_name LIKE 'millrace %%.%%'"
        )
        return idle or os.kill(job, signal.SIGCONT)

    eventually(in_transaction, "it is frozen within a transaction")
    held = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
    eventually(lambda: not site.sql(held), "PostgreSQL ends the transaction", 10)
    saw(locks_free_after=f"{watch.seconds} s")
    os.kill(job, signal.SIGCONT)
    goes_on(execution)
    saw(recovered=watch.seconds, **assert_complete(finished(execution, 60)))


@fault("F22", "every message six times, in every status", "nothing happens")
def test_messages_are_doubled(site, saw):
    site.controller()
    site.worker()
    whole, paused = in_the_middle(site), in_the_middle(site)
    site.send(*[whole.pk] * 6)
    control.pause(paused)
    until(paused, lambda e: e.status == Status.PAUSED)
    site.send(*[paused.pk] * 6)
    finished(whole)
    site.send(*[whole.pk] * 6)
    control.resume(paused)
    saw(**assert_complete(finished(paused, 40)))
    assert_complete(whole)
    assert (whole.attempt, paused.attempt) == (1, 2)
    saw(attempts=f"{whole.attempt}, and {paused.attempt} with a pause")


@fault("F23", "a chunk that kills its process", "lost after three crashes there; others flow")
def test_a_poisoned_chunk(site, saw):
    site.controller()
    site.worker()
    watch = Watch()
    execution = site.launch("samples.chunks", rows=500, die_at=120)
    neighbour = site.launch("samples.chunks", **SLOW)
    finished(execution, 40)
    saw(given_up_after=f"{watch.seconds} s", crashes=execution.crashes)
    assert (execution.status, execution.attempt) == (Status.LOST, 3)
    assert "behind item 100" in execution.error
    saw(**assert_whole(execution))
    assert_complete(finished(neighbour, 40))
    assert neighbour.attempt == 1


@fault("F26", "two controllers, kill -9 of one", "no effect")
def test_a_controller_is_killed(site, saw):
    first = site.controller()
    site.controller()
    site.worker()
    execution = in_the_middle(site, **LONG)
    first.kill()
    watch = Watch()
    os.kill(parent_of(execution.pid), signal.SIGKILL)
    goes_on(execution)
    saw(recovered=watch.seconds, **assert_complete(finished(execution, 40)))
