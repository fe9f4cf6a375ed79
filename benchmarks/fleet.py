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

DATABASE = os.environ.get("MILLRACE_BENCHMARKS", "millrace_benchmarks")
APPS = ("benchmarks.products", "benchmarks.food")
CELERY = (
    sys.executable, "-m", "celery", "-A", "config", "worker", "--pool=prefork",
    "--loglevel=WARNING", "--without-gossip", "--without-mingle", "--disable-prefetch",
)  # fmt: skip


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Make the database, start worker and controller on it; Django is set up inside the block."""
    server = os.environ["DATABASE_URL"]
    _administer(server, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    _administer(server, f"CREATE DATABASE {DATABASE}")
    apps = [os.environ.get("MILLRACE_APPS", ""), *APPS]
    os.environ |= {
        "DATABASE_URL": urlsplit(server)._replace(path=f"/{DATABASE}").geturl(),
        "JOBS_KEY_PREFIX": f"{DATABASE}:",
        "MILLRACE_APPS": ",".join(filter(None, apps)),
        "MILLRACE_FILES": str(folder / "files"),
        "MILLRACE_LOG_LEVEL": "WARNING",
    }
    _migrate()
    controller = Process(
        "The controller",
        [sys.executable, ROOT / "manage.py", "jobs", "controller"],
        folder / "controller.log",
        variables={"MILLRACE_ROLE": "controller"},
    )
    try:
        with worker(folder, "default", slots=2):  # for a step in two parts
            controller.start()
            yield
    finally:
        stop_all([controller], seconds=6)
        _administer(server, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


@contextmanager
def worker(folder: Path, queue: str, slots: int, name: str = "") -> Iterator[Process]:
    """A worker of the queue that has reported itself; `name` tells two of one queue apart."""
    from jobs.models import Worker  # noqa: PLC0415 - Django must be set up before

    name = f"{queue}{name}@benchmarks"
    process = Process(
        f"The worker {name}",
        [*CELERY, f"--hostname={name}", f"--queues={queue}", f"--concurrency={slots}"],
        folder / f"{name}.log",
        variables={"MILLRACE_ROLE": "worker"},
    )
    try:
        process.start()
        process.wait_until(Worker.objects.filter(name=name).exists)
        yield process
    finally:
        stop_all([process], seconds=6)


def _administer(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def _migrate() -> None:
    import django  # noqa: PLC0415 - its settings are read here, from the variables set above

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", run_syncdb=True, verbosity=0)
