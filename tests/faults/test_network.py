"""Networks that are cut, slow, deaf in one direction, or end connections in the wrong moment."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from jobs.states import Status
from tests.faults.assertions import LONG, SLOW, Watch, assert_complete, goes_on, in_the_middle
from tests.faults.proxy import Proxy
from tests.faults.servers import PRIVATE
from tests.faults.site import Site
from tests.fleet import eventually, finished, is_alive, until

fault = pytest.mark.fault


@dataclass
class Namespace:
    """A network of its own, joined to this machine by one cable."""

    name: str

    def cable(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", f"{self.name}h", state], check=True)

    def prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    name = f"mr{os.getpid() % 100_000}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    if made.returncode:
        pytest.skip("only root may make a network namespace, with iproute2")
    try:
        for line in (
            f"link add {name}h type veth peer name {name}w netns {name}",
            f"addr add {PRIVATE}.1/24 dev {name}h",
            f"link set {name}h up",
            f"-n {name} addr add {PRIVATE}.2/24 dev {name}w",
            f"-n {name} link set {name}w up",
            f"-n {name} link set lo up",
        ):
            subprocess.run(["ip", *line.split()], check=True, capture_output=True)
        yield Namespace(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@fault("F20", "the cable of a worker is pulled for twelve seconds", "its job ends before another")
def test_a_worker_is_cut_off(namespace, site, saw):
    site.controller()
    through = {
        "DATABASE_URL": f"postgres://millrace@{PRIVATE}.1:{site.postgres.port}/millrace",
        "REDIS_URL": f"redis://{PRIVATE}.1:{site.valkey.port}",
    }
    away = site.worker(prefix=namespace.prefix(), **through)
    execution = in_the_middle(site, **LONG)
    site.worker()
    job = execution.pid
    namespace.cable("down")
    watch = Watch()
    eventually(lambda: not is_alive(job), "the job that is cut off ends itself", 8)
    ended = watch.seconds
    saw(job_gone_after=f"{ended} s")
    goes_on(execution)
    saw(recovered=watch.seconds)
    assert execution.worker != away.name
    saw(**assert_complete(finished(execution, 40)))
    time.sleep(max(0, 12 - watch.seconds))
    namespace.cable("up")
    back = Watch()
    only_there(site, away)
    saw(works_again_after=f"{back.seconds} s")
    assert ended < 5


def only_there(site: Site, worker) -> None:
    """Launch until that worker has taken one."""

    def taken() -> bool:
        execution = finished(site.launch("samples.chunks", rows=10), 60)
        assert execution.status == Status.COMPLETED
        return execution.worker == worker.name or worker.name in set(
            execution.attempts.values_list("worker", flat=True)
        )

    eventually(taken, "the worker takes executions again", 60)


@pytest.fixture
def database_proxy(site: Site) -> Iterator[Proxy]:
    proxy = Proxy(site.postgres.port)
    yield proxy
    proxy.close()


@pytest.fixture
def broker_proxy(site: Site) -> Iterator[Proxy]:
    proxy = Proxy(site.valkey.port)
    yield proxy
    proxy.close()


@pytest.fixture
def through(database_proxy: Proxy, broker_proxy: Proxy) -> dict[str, str]:
    """The variables of a worker that reaches its servers through the proxies."""
    return {
        "DATABASE_URL": f"postgres://millrace@127.0.0.1:{database_proxy.port}/millrace",
        "REDIS_URL": f"redis://127.0.0.1:{broker_proxy.port}",
    }


@fault("F21", "0.2 s of latency each way to the database", "slower, and nothing else")
def test_the_network_is_slow(site, through, database_proxy, saw):
    site.controller()
    site.worker(**through)
    execution = in_the_middle(site, rows=600, pause=0.0)
    database_proxy.latency = 0.2
    saw(**assert_complete(finished(execution, 90)), attempts=execution.attempt)


@fault("F21", "20 KB/s to the database for five seconds", "slower, and nothing else")
def test_the_network_is_narrow(site, through, database_proxy, saw):
    site.controller()
    site.worker(**through)
    execution = in_the_middle(site, **SLOW)
    database_proxy.bytes_per_second = 20_000
    time.sleep(5)
    database_proxy.bytes_per_second = 0
    saw(**assert_complete(finished(execution, 60)), attempts=execution.attempt)


@fault("F21", "connections reset behind a COMMIT, five times", "what is committed is found out")
def test_a_connection_ends_behind_its_commit(site, through, database_proxy, saw):
    site.controller()
    site.worker(**through)
    execution = in_the_middle(site, **LONG)
    for number in range(1, 6):
        database_proxy.reset_on = b"COMMIT"
        eventually(lambda number=number: database_proxy.resets == number, "a reset")
        reached = execution.checkpoints + 2  # crashes are counted by checkpoint
        until(execution, lambda e, reached=reached: e.checkpoints >= reached or e.is_finished, 30)
    saw(**assert_complete(finished(execution, 60)), attempts=execution.attempt)


@fault("F21", "the database's answers vanish, silently", "the job ends before another begins")
def test_answers_vanish(site, through, database_proxy, saw):
    site.controller()
    site.worker(**through)
    execution = in_the_middle(site, **LONG)
    site.worker()
    database_proxy.swallows_answers = True
    watch = Watch()
    goes_on(execution, 30)
    saw(recovered=watch.seconds)
    saw(**assert_complete(finished(execution, 60)))


@fault("F21", "answers vanish while a job does not ask", "its supervisor does not wait: it ends it")
def test_answers_vanish_while_the_job_is_busy(site, through, database_proxy, saw):
    site.controller()
    site.worker(**through)
    execution = site.launch("faults.stuck")
    until(execution, lambda e: e.status == Status.RUNNING and e.pid)
    job = execution.pid
    database_proxy.swallows_answers = True
    watch = Watch()
    until(execution, lambda e: not is_alive(job) or e.attempt > 1 or e.status == Status.QUEUED, 20)
    saw(job_gone_after=f"{watch.seconds} s")
    assert not is_alive(job), "another attempt may begin, and the first is still at work"


@fault("F21", "all connections of a worker reset, then half-closed", "it connects again")
def test_connections_end(site, through, database_proxy, broker_proxy, saw):
    site.controller()
    site.worker(**through)
    execution = in_the_middle(site, **LONG)
    for end in (database_proxy.reset, database_proxy.half_close):
        watch = Watch()
        end()
        goes_on(execution, 30)
        saw(recovered=watch.seconds)
    for end in (broker_proxy.reset, broker_proxy.half_close):
        end()
        assert_complete(finished(site.launch("samples.chunks", rows=100), 40))
    saw(**assert_complete(finished(execution, 60)), attempts=execution.attempt)


@fault("F21", "the broker's answers vanish for eight seconds", "what is launched flows later")
def test_the_broker_is_not_heard(site, through, broker_proxy, saw):
    site.controller()
    site.worker(**through)
    broker_proxy.swallows_answers = True
    executions = [site.launch("samples.chunks", rows=100) for _ in range(3)]
    time.sleep(8)
    broker_proxy.swallows_answers = False
    watch = Watch()
    tallies = [assert_complete(finished(execution, 60)) for execution in executions]
    saw(recovered=watch.seconds, doubled=sum(t["doubled"] for t in tallies))
    saw(lost=sum(t["lost"] for t in tallies))
