"""A broker that dies, forgets, freezes or refuses: it has nothing that the rows do not have."""

from __future__ import annotations

import os
import signal
import statistics
import time
from contextlib import suppress

import pytest
import redis

from jobs.states import Status
from tests.faults.assertions import LONG, SLOW, Watch, assert_complete, in_the_middle
from tests.fleet import finished, until

fault = pytest.mark.fault


def client(site) -> redis.Redis:
    return redis.Redis(port=site.valkey.port)


@fault("F9", "kill -9 of the broker without persistence, back two seconds later", "nothing is lost")
def test_the_broker_is_killed(site, saw):
    site.controller()
    site.worker(slots=1)
    running = in_the_middle(site, **LONG)
    queued = [site.launch("samples.chunks", rows=100) for _ in range(5)]
    site.valkey.crash()
    meanwhile = site.launch("samples.chunks", rows=100)
    time.sleep(2)
    site.valkey.up()
    finished(running, 40)
    watch = Watch()
    for execution in (*queued, meanwhile):
        assert_complete(finished(execution, 40))
    saw(recovered=watch.seconds, **assert_complete(running), attempts=running.attempt)


@fault("F10", "FLUSHALL four times a second, for eight seconds", "nothing is lost")
def test_the_broker_forgets_again_and_again(site, saw):
    site.controller()
    site.worker(slots=2)
    end = time.monotonic() + 8
    executions = []
    with client(site) as broker:
        while time.monotonic() < end:
            executions.append(site.launch("samples.chunks", rows=100))
            broker.flushall()
            time.sleep(0.25)
    watch = Watch()
    tallies = [assert_complete(finished(execution, 60)) for execution in executions]
    saw(recovered=watch.seconds, executions=len(tallies))
    saw(doubled=sum(t["doubled"] for t in tallies), lost=sum(t["lost"] for t in tallies))


@fault("F11", "the broker frozen for six seconds", "launches are answered; running jobs run on")
def test_the_broker_is_frozen(site, saw):
    site.controller()
    site.worker()
    running = in_the_middle(site, **SLOW)
    os.kill(site.valkey.process.pid, signal.SIGSTOP)
    end, times, launched = time.monotonic() + 6, [], []
    while time.monotonic() < end:
        began = time.monotonic()
        launched.append(site.launch("samples.chunks", rows=100))
        times.append(time.monotonic() - began)
        time.sleep(0.2)
    until(running, lambda e: e.status == Status.COMPLETED)
    os.kill(site.valkey.process.pid, signal.SIGCONT)
    watch = Watch()
    for execution in launched:
        assert_complete(finished(execution, 40))
    slow = statistics.quantiles(times, n=20)[-1]
    saw(recovered=watch.seconds, launch_p95=f"{slow * 1000:.0f} ms", **assert_complete(running))
    assert slow < 1.0


@fault("F12", "the broker is out of memory", "launches are accepted and flow later")
def test_the_broker_is_full(site, saw):
    site.controller()
    site.worker()
    with client(site) as broker:
        broker.config_set("maxmemory", "1mb")
        broker.config_set("maxmemory-policy", "noeviction")
        with suppress(redis.exceptions.ResponseError):
            for number in range(100_000):
                broker.set(f"filler-{number}", "x" * 1000)
        execution = site.launch("samples.chunks", rows=100)
        time.sleep(2)
        execution.refresh_from_db()
        assert execution.status == Status.QUEUED
        broker.config_set("maxmemory", "0")
        watch = Watch()
        finished(execution, 40)
    saw(recovered=watch.seconds, **assert_complete(execution))


@fault("F12", "the broker wants a password of us", "launches are accepted, flow later")
def test_the_broker_refuses_us(site, saw):
    site.controller()
    with client(site) as broker:
        broker.config_set("requirepass", "secret")
        execution = site.launch("samples.chunks", rows=100)
        worker = site.worker(ready=False)
        time.sleep(4)
        execution.refresh_from_db()
        assert execution.status == Status.QUEUED
        broker.config_set("requirepass", "")
    watch = Watch()
    if worker.popen.poll() is not None:  # it says why and ends; whoever runs it starts it again
        saw(worker="ended and was started again")
        site.worker()
    finished(execution, 60)
    saw(recovered=watch.seconds, **assert_complete(execution))
