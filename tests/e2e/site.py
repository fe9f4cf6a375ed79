"""The whole site as its own processes on a database of its own: web, worker, controller."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
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

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, "manage.py"]


def eventually(fact: Callable[[], Any], what: str, within: float = 30) -> Any:
    """The value of `fact` as soon as it is true; fails with `what` after `within` seconds."""
    end = time.monotonic() + within
    while not (value := fact()):
        if time.monotonic() > end:
            pytest.fail(f"Not within {within} s: {what}")
        time.sleep(0.05)
    return value


@contextmanager
def own_database() -> Iterator[dict[str, str]]:
    """A migrated database beside the other tests' one; yields the variables that lead to it."""
    name = f"e2e_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    _administer("CREATE DATABASE {}", name)
    variables = os.environ | {
        "DATABASE_URL": urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl(),
        "JOBS_KEY_PREFIX": f"{name}:",
        "MILLRACE_FILES": str(settings.MEDIA_ROOT),
        "JOBS_CONTROLLER_SECONDS": "0.5",  # nothing here waits for it
    }
    variables.pop("MILLRACE_APPS", None)  # the catalogue alone, as it is shipped
    subprocess.run([*MANAGE, "migrate", "-v", "0"], env=variables, cwd=ROOT, check=True)
    try:
        yield variables
    finally:
        connection.close()
        _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _administer(statement: str, name: str) -> None:
    parameters = connection.get_connection_params() | {"dbname": "postgres"}
    parameters.pop("cursor_factory")
    parameters.pop("pool", None)
    with psycopg.connect(**parameters, autocommit=True) as admin:
        admin.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextmanager
def serving(variables: dict[str, str], folder: Path) -> Iterator[str]:
    """Web, worker and controller; yields the address when all of them are up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    celery = [sys.executable, "-m", "celery", "-A", "config", "worker", "-c", "2", "-l", "INFO",
              "--without-gossip", "--without-mingle", "--disable-prefetch"]  # fmt: skip
    gunicorn = [sys.executable, "-m", "gunicorn", "config.wsgi", "-c", "python:config.gunicorn"]
    commands = {
        "web": [*gunicorn, "--bind", address],
        "worker": celery,
        "controller": [*MANAGE, "jobs", "controller"],
    }
    processes = [_start(role, command, variables, folder) for role, command in commands.items()]
    try:
        eventually(lambda: _is_healthy(address), f"the site is up; logs in {folder}", 60)
        yield f"http://{address}"
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            _end(process)


def _start(
    role: str, command: list[str], variables: dict[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    with (folder / f"{role}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env=variables | {"MILLRACE_ROLE": role},
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
