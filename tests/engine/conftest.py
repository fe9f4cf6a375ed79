"""A database of its own and real processes that work on it: Celery workers and a controller.

Everything here is committed, nothing is rolled back or truncated: a live worker would be waited
for. Tests therefore look at their own executions only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg import sql

from jobs import control
from jobs.models import JobExecution
from tests.fleet import CONTROLLER, ROOT, Process, celery_worker


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
    process = Process(CONTROLLER, variables, tmp_path_factory.mktemp("controller") / "log")
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
