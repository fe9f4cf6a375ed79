"""Real processes for tests: workers and controllers, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.local.processes import guarded
from jobs.models import JobExecution, Worker

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 20  # seconds that a fact may take to come true


def eventually(fact: Callable[[], Any], what: str, within: float = DEADLINE) -> Any:
    """The value of `fact` as soon as it is true; fails with `what` after `within` seconds."""
    end = time.monotonic() + within
    while not (value := fact()):
        if time.monotonic() > end:
            pytest.fail(f"Not within {within} s: {what}")
        time.sleep(0.02)
    return value


def until(
    execution: JobExecution, fact: Callable[[JobExecution], Any], within: float = DEADLINE
) -> JobExecution:
    """The execution as soon as `fact` is true of it."""
    end = time.monotonic() + within
    while True:
        execution.refresh_from_db()
        if fact(execution):
            return execution
        if time.monotonic() > end:
            seen = f"{execution.name} is {execution.status}, attempt {execution.attempt}"
            pytest.fail(f"Not within {within} s; {seen}: {execution.error or execution.reason}")
        time.sleep(0.02)


def finished(execution: JobExecution, within: float = DEADLINE) -> JobExecution:
    """The execution when it has ended and its console is complete."""
    return until(execution, lambda found: not found.is_live, within)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def is_alive(pid: int) -> bool:
    """Whether the process exists and is more than an entry waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Process:
    """A worker or controller in a session of its own, which ends when the tests end."""

    name = ""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: Path):
        self.log = log
        with log.open("ab") as target:
            self.popen = subprocess.Popen(
                guarded(command), env=variables, cwd=ROOT, stdout=target, stderr=target,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.popen.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.popen.poll() is None:
            os.kill(self.pid, number)

    def kill_group(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.popen.poll() is None:
            os.killpg(self.pid, number)

    def end(self) -> None:
        self.kill(signal.SIGTERM)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.popen.wait(5)


def worker_command(name: str, queues: str, slots: int) -> list[str]:
    return [
        sys.executable, "-m", "celery", "-A", "config", "worker", "-n", name, "-c", str(slots),
        "-Q", queues, "-l", "INFO", "--without-gossip", "--without-mingle", "--disable-prefetch",
    ]  # fmt: skip


CONTROLLER = [sys.executable, "manage.py", "jobs", "controller"]


@contextmanager
def celery_worker(
    variables: Mapping[str, str], folder: Path, queues: str, slots: int = 2
) -> Iterator[Process]:
    """A Celery worker that has reported itself."""
    name = f"{uuid.uuid4().hex[:8]}@test"
    process = Process(worker_command(name, queues, slots), variables, folder / f"{name}.log")
    try:
        eventually(lambda: Worker.objects.filter(name=name).exists(), f"{name} reports itself", 30)
        yield process
    finally:
        process.end()
