"""Clocks that jump: only the database's one counts, and a job's fence does not need it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.models import Worker
from tests.faults.assertions import LONG, Watch, assert_complete, in_the_middle
from tests.faults.conftest import CLOCK
from tests.faults.site import ask
from tests.fleet import eventually, finished

fault = pytest.mark.fault


class Clock:
    """A clock of some processes, set by the content of a file; the monotonic one is untouched."""

    def __init__(self, folder: Path):
        self.file = folder / "clock"
        self.set("+0")
        self.variables = {
            "LD_PRELOAD": str(CLOCK),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TEST_MUTANT": "sleep_by_select",
        }

    def set(self, offset: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(offset)
        new.rename(self.file)


@pytest.fixture
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    if not CLOCK.exists():
        pytest.skip("there is no libfaketime: apt-get install faketime")
    return Clock(tmp_path_factory.mktemp("clock"))


@fault("F18", "a worker's clock jumps by an hour, back and forth", "no effect")
def test_the_clock_of_a_worker_jumps(site, clock, saw):
    site.controller()
    site.worker(**clock.variables)
    execution = in_the_middle(site, **LONG)
    watch = Watch()
    for offset in ("+1h", "-1h"):
        clock.set(offset)
        time.sleep(1.5)
        other = site.launch("samples.chunks", rows=100)
        assert_complete(finished(other))
    saw(attempts=execution.attempt, launched_meanwhile=f"ended after {watch.seconds} s, both")
    saw(**assert_complete(finished(execution)))
    assert execution.attempt == 1


@fault("F18", "the web's clock is an hour late, then early", "it sees the same workers")
def test_the_clock_of_the_web_jumps(site, clock, saw):
    site.controller()
    site.worker()
    web = site.web(**clock.variables)
    eventually(lambda: healthz(web) == 200, "all is well")
    for offset in ("-1h", "+1h"):
        clock.set(offset)
        eventually(lambda: healthz(web) == 200, f"all is well at {offset}", 10)
    saw(healthz=200)


def healthz(web: str) -> int:
    try:
        return ask(f"{web}/healthz")[0]
    except OSError:  # gunicorn replaces a process whose clock has jumped
        return 0


@fault("F18", "a controller's clock is an hour late, then early", "nobody is taken for dead")
def test_the_clock_of_a_controller_jumps(site, clock, saw):
    site.controller(**clock.variables)
    site.worker()
    execution = in_the_middle(site, **LONG)
    for offset in ("-1h", "+2h"):
        clock.set(offset)
        time.sleep(1)
    saw(**assert_complete(finished(execution)))
    assert execution.attempt == 1
    assert Worker.objects.filter(kind=Worker.Kind.WORKER).exists()
    saw(attempts=1)


@fault("F19", "the database's clock jumps ten minutes forward", "leases are over; fences hold")
def test_the_clock_of_the_database_jumps_forward(open_site, clock, saw):
    jump(open_site, clock, saw, "+10m")


@fault("F19", "the database's clock jumps ten minutes back", "running jobs run on")
def test_the_clock_of_the_database_jumps_back(open_site, clock, saw):
    jump(open_site, clock, saw, "-10m")


def jump(open_site: Callable, clock: Clock, saw: Callable, offset: str) -> None:
    site = open_site(clock=clock.variables)
    site.controller()
    site.worker()
    execution = in_the_middle(site, **LONG)
    watch = Watch()
    before = execution.checkpoints
    clock.set(offset)
    eventually(lambda: fresh(execution).checkpoints > before + 2, "it goes on", 30)
    saw(recovered=watch.seconds)
    saw(**assert_complete(finished(execution, 60)), attempts=execution.attempt)


def fresh(execution):
    execution.refresh_from_db()
    return execution
