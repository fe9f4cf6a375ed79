"""Jobs that stand still, eat memory, hang in C, leave children behind, or read monsters."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from catalog.models import Product
from jobs import control
from jobs.models import JobExecution
from jobs.states import Status
from tests.faults.assertions import Watch, assert_complete, goes_on, in_the_middle
from tests.faults.site import Site
from tests.fleet import eventually, finished, is_alive, until

fault = pytest.mark.fault
GROUPS = Path("/sys/fs/cgroup/memory")
MEGABYTE = 1024 * 1024


@fault("F8", "SIGSTOP of a job, longer than the stall limit (3 s)", "killed; goes on")
def test_a_job_stands_still(open_site, saw):
    site = open_site(JOBS_STALL_LIMIT_SECONDS="3")
    site.controller()
    site.worker()
    execution = in_the_middle(site)
    job, watch = execution.pid, Watch()
    os.kill(job, signal.SIGSTOP)
    goes_on(execution, 20)
    assert not is_alive(job)
    saw(recovered=watch.seconds, **assert_complete(finished(execution, 40)))


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group with 400 MB of memory."""
    group = GROUPS / f"millrace-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(400 * MEGABYTE))
    except OSError as error:
        pytest.skip(f"this machine allows no memory control group of version 1: {error}")
    yield group
    eventually(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
    group.rmdir()


@fault("F24", "a job eats more memory than its control group has", "only the job dies")
def test_a_job_eats_all_memory(memory_group, open_site, saw):
    site = open_site()
    site.controller()
    inside = ["sh", "-c", f'echo $$ > {memory_group}/cgroup.procs && exec "$@"', "sh"]
    worker = site.worker(slots=1, prefix=inside)
    watch = Watch()
    execution = finished(site.launch("faults.hungry"), 60)
    saw(given_up_after=f"{watch.seconds} s", attempts=execution.attempt)
    assert execution.status == Status.LOST
    assert "SIGKILL" in execution.attempts.first().reason
    assert worker.popen.poll() is None
    saw(**assert_complete(finished(site.launch("samples.chunks", rows=100))))


@fault("F24", "a job wants more memory than JOBS_MEMORY_BYTES", "failed, with the reason")
def test_a_job_wants_more_than_it_may(open_site, saw):
    site = open_site(JOBS_MEMORY_BYTES=str(1024 * MEGABYTE))
    site.controller()
    site.worker()
    execution = finished(site.launch("faults.hungry"), 30)
    assert execution.status == Status.FAILED
    assert "MemoryError" in execution.error
    saw(attempts=execution.attempt, **assert_complete(finished(site.launch("samples.chunks"))))


@fault("F31", "a call of C for longer than a lease, then abort", "lease kept; gone at once")
def test_a_long_call_of_c(site, saw):
    stuck(site, saw, "faults.stuck")


@fault("F31", "a regular expression that holds the interpreter's lock, then abort", "the same")
def test_a_call_that_holds_the_interpreter(site, saw):
    stuck(site, saw, "faults.regex")


def stuck(site: Site, saw, job: str) -> None:
    site.controller()
    site.worker()
    execution = until(site.launch(job), lambda e: e.status == Status.RUNNING and e.pid)
    pid = execution.pid
    time.sleep(7)  # a lease lasts five
    execution.refresh_from_db()
    assert (execution.status, execution.attempt) == (Status.RUNNING, 1)
    watch = Watch()
    control.abort(execution)
    finished(execution)
    assert execution.status == Status.ABORTED
    eventually(lambda: not is_alive(pid), "the process is gone", 2)
    saw(gone_after=f"{watch.seconds} s", attempts=1)


@fault("F31", "a job starts thirty processes, then abort", "they end with it")
def test_a_job_starts_many_processes(site, saw):
    site.controller()
    site.worker()
    execution = until(site.launch("faults.many"), lambda e: e.checkpoints > 0, 30)
    pid = execution.pid
    assert len(site.living()) > 30
    watch = Watch()
    control.abort(execution)
    finished(execution)
    assert execution.status == Status.ABORTED

    def gone() -> bool:
        return not any(_group_of(other) == pid for other in site.living())

    eventually(gone, "all of its processes are gone", 5)
    saw(gone_after=f"{watch.seconds} s")


def _group_of(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0


class Peak:
    """The most memory that the job's process has had, watched beside the test."""

    def __init__(self, site: Site):
        self.site, self.kilobytes, self.over = site, 0, threading.Event()
        self.pids: set[int] = set()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while not self.over.wait(0.05):
            for pid in self.site.living():
                with suppress(OSError, StopIteration, ValueError):
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    high = next(line for line in lines if line.startswith("VmHWM"))
                    self.kilobytes = max(self.kilobytes, int(high.split()[1]))

    def megabytes(self) -> int:
        self.over.set()
        self.thread.join(2)
        return self.kilobytes // 1024


def imported(site: Site, content: bytes) -> tuple[JobExecution, int]:
    """The import of this file, ended, and the memory it took."""
    site.controller()
    site.worker()
    upload = control.upload(ContentFile(content, name="monster.csv"), user=None)
    peak = Peak(site)
    execution = control.launch(job="catalog.product.import", parameters={"file": str(upload.pk)})
    return finished(execution, 90), peak.megabytes()


GOOD = b"".join(b"f32-%06d;Name;1\n" % number for number in range(6000))


@fault("F32", "a field of 100 MB behind 6,000 good rows", "failed with its line; bounded memory")
def test_a_monstrous_field(site, saw):
    monster = b"sku;name;enabled\n" + GOOD + b"x;" + b"y" * (100 * MEGABYTE) + b";1\n"
    execution, megabytes = imported(site, monster)
    assert execution.status == Status.FAILED
    assert "6,002" in execution.error or "6002" in execution.error, execution.error
    assert megabytes < 400
    done = execution.steps.get().created
    assert Product.objects.filter(sku__startswith="f32-").count() == done
    saw(memory=f"{megabytes} MB", doubled=0, lost=0)


@fault("F32", "an unterminated quote before 20 MB", "failed with the line where it began")
def test_an_unterminated_quote(site, saw):
    monster = b"sku;name;enabled\n" + GOOD + b'x;"open;1\n' + b"z;z;1\n" * (4 * MEGABYTE)
    execution, megabytes = imported(site, monster)
    assert execution.status == Status.FAILED
    assert "6,002" in execution.error or "6002" in execution.error, execution.error
    assert megabytes < 400
    saw(memory=f"{megabytes} MB", doubled=0, lost=0)
