"""A worker and a controller, as they run in production, on a database of the benchmarks' own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from config.local.environment import ROOT
from config.local.processes import Process, stop_all

DATABASE = "millrace_benchmarks"
APP = "benchmarks.products"
CELERY = (
    "worker", "--pool=prefork", "--concurrency=1", "--queues=default", "--loglevel=WARNING",
    "--without-gossip", "--without-mingle", "--disable-prefetch",
)  # fmt: skip


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Make the database, start worker and controller on it; Django is set up inside the block."""
    server = os.environ["DATABASE_URL"]
    _administer(server, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    _administer(server, f"CREATE DATABASE {DATABASE}")
    apps = [os.environ.get("MILLRACE_APPS", ""), APP]
    os.environ |= {
        "DATABASE_URL": urlsplit(server)._replace(path=f"/{DATABASE}").geturl(),
        "JOBS_KEY_PREFIX": "benchmarks:",
        "MILLRACE_APPS": ",".join(filter(None, apps)),
        "MILLRACE_FILES": str(folder / "files"),
        "MILLRACE_LOG_LEVEL": "WARNING",
    }
    _migrate()
    processes = _start(folder)
    try:
        yield
    finally:
        stop_all(processes, seconds=6)
        _administer(server, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def _administer(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def _migrate() -> None:
    import django  # noqa: PLC0415 - its settings are read here, from the variables set above

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", run_syncdb=True, verbosity=0)


def _start(folder: Path) -> list[Process]:
    from jobs.models import Worker  # noqa: PLC0415 - Django must be set up before

    commands = {
        "worker": [sys.executable, "-m", "celery", "-A", "config", *CELERY],
        "controller": [sys.executable, ROOT / "manage.py", "jobs", "controller"],
    }
    processes = [
        Process(f"The {role}", command, folder / f"{role}.log", variables={"MILLRACE_ROLE": role})
        for role, command in commands.items()
    ]
    try:
        for process in processes:
            process.start()
        processes[0].wait_until(Worker.objects.filter(kind=Worker.Kind.WORKER).exists)
    except BaseException:
        stop_all(processes, seconds=6)
        raise
    return processes
