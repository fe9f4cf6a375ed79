"""A database of its own and real processes that work on it: Celery workers and a controller.

Everything here is committed, nothing is rolled back or truncated: a live worker would be waited
for. Tests therefore look at their own executions only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg import sql

from jobs import control
from jobs.models import JobExecution, Worker

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 20  # seconds that a fact may take to come true


def eventually(fact: Callable[[], Any], what: str, within: float = DEADLINE) -> Any:
    """The value of `fact` as soon as it is true; fails with `what` after `within` seconds."""
    end = time.monotonic() + within
    while not (value := fact()):
        if time.monotonic() > end:
            pytest.fail(f"Not within {within} s: {what}")
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def _clone(django_db_blocker: Any) -> Iterator[str]:
    """A database beside the other tests' one, for tests that commit."""
    name = f"engine_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    with django_db_blocker.unblock():
        _admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        _admin("CREATE DATABASE {}", name)
        migrate = [sys.executable, "manage.py", "migrate", "--run-syncdb", "-v", "0"]
        subprocess.run(migrate, env=_on(name), cwd=ROOT, check=True)
        yield name
        connection.close()
        _admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _on(database: str) -> dict[str, str]:
    """The environment of processes that work on this database."""
    return os.environ | {
        "DATABASE_URL": urlsplit(settings.DATABASE_URL)._replace(path=f"/{database}").geturl(),
        "JOBS_KEY_PREFIX": settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"],
        "MILLRACE_FILES": str(settings.MEDIA_ROOT),
        "MILLRACE_ROLE": "celery",
    }


def _admin(statement: str, *names: str) -> None:
    parameters = connection.get_connection_params() | {"dbname": "postgres"}
    parameters.pop("cursor_factory")
    with psycopg.connect(**parameters, autocommit=True) as admin:
        admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(autouse=True)
def _on_the_clone(_clone: str, django_db_blocker: Any) -> Iterator[None]:
    """Django's connection of the test goes to the copy."""
    with django_db_blocker.unblock():
        before = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = _clone
        yield
        connection.close()
        connection.settings_dict["NAME"] = before


@pytest.fixture(scope="session")
def variables(_clone: str) -> dict[str, str]:
    """The environment of processes that work on the copy."""
    return _on(_clone)


class Process:
    """A worker or controller in a session of its own."""

    def __init__(self, command: list[str], variables: dict[str, str], log: Path):
        self.log = log
        with log.open("ab") as target:
            self.popen = subprocess.Popen(
                command, env=variables, cwd=ROOT, stdout=target, stderr=target,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.popen.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.popen.poll() is None:
            os.kill(self.pid, number)

    def end(self) -> None:
        self.kill(signal.SIGTERM)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.popen.wait(5)


@contextmanager
def celery_worker(
    variables: dict[str, str], folder: Path, queues: str, slots: int = 2
) -> Iterator[Process]:
    """A Celery worker that has reported itself."""
    name = f"{uuid.uuid4().hex[:8]}@test"
    command = [
        sys.executable, "-m", "celery", "-A", "config", "worker", "-n", name, "-c", str(slots),
        "-Q", queues, "-l", "INFO", "--without-gossip", "--without-mingle", "--disable-prefetch",
    ]  # fmt: skip
    process = Process(command, variables, folder / f"{name}.log")
    try:
        eventually(lambda: Worker.objects.filter(name=name).exists(), f"{name} reports itself", 30)
        yield process
    finally:
        process.end()


@pytest.fixture(scope="session")
def _shared_worker(
    variables: dict[str, str], tmp_path_factory: Any, django_db_blocker: Any
) -> Iterator[Process]:
    with django_db_blocker.unblock():
        before = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = urlsplit(variables["DATABASE_URL"]).path.lstrip("/")
        with celery_worker(variables, tmp_path_factory.mktemp("worker"), "default") as process:
            connection.close()
            connection.settings_dict["NAME"] = before
            yield process


@pytest.fixture(scope="session")
def controller(variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Process]:
    """A controller for the whole session."""
    command = [sys.executable, "manage.py", "jobs", "controller"]
    process = Process(command, variables, tmp_path_factory.mktemp("controller") / "log")
    yield process
    process.end()


@pytest.fixture
def worker(_shared_worker: Process, controller: Process) -> Process:
    """A Celery worker on the queue `default`, shared by tests that do it no harm."""
    return _shared_worker


@pytest.fixture
def own_queue() -> str:
    """The name of a queue that only this test uses."""
    return f"q{uuid.uuid4().hex[:8]}"


@pytest.fixture
def launch() -> Callable[..., JobExecution]:
    """Launch a job by name with parameters, on the default queue or on a named one."""

    def launched(job: str, *, queue: str = "", **parameters: Any) -> JobExecution:
        if not queue:
            return control.launch(job=job, parameters=parameters)
        execution = control.launch(job=job, parameters=parameters, deferred=True)
        JobExecution.objects.filter(pk=execution.pk).update(queue=queue)
        execution.refresh_from_db()
        return control.activate(execution)

    return launched


def until(
    execution: JobExecution, fact: Callable[[JobExecution], Any], within: float = DEADLINE
) -> JobExecution:
    """The execution as soon as `fact` is true of it."""

    def true() -> bool:
        execution.refresh_from_db()
        return bool(fact(execution))

    eventually(true, f"{execution.name}: {execution.status}, {execution.error}", within)
    return execution


def finished(execution: JobExecution, within: float = DEADLINE) -> JobExecution:
    """The execution when it has ended and its console is complete."""
    return until(execution, lambda found: not found.is_live, within)
