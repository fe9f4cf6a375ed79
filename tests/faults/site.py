"""A Millrace of its own: PostgreSQL, Valkey, workers, controllers, web; all of it may be harmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from celery import current_app
from django.conf import settings
from django.db import OperationalError, connection

from config import variables
from config.local.servers import stop_servers
from jobs import control, dispatch
from jobs.dispatch import TASK
from jobs.models import JobExecution, Worker
from tests.faults.servers import OwnPostgres, OwnValkey, free_port
from tests.fleet import CONTROLLER, Process, eventually, worker_command

TAG = "MILLRACE_SITE"  # in the environment of every process of a site


class Site:
    """Servers and processes with one database; `variables` are those of its processes."""

    def __init__(self, folder: Path, postgres: OwnPostgres, valkey: OwnValkey, **changes: str):
        self.folder, self.postgres, self.valkey = folder, postgres, valkey
        self.tag = uuid.uuid4().hex
        self.processes: list[Process] = []
        self.variables = self._variables(**changes)

    def _variables(self, **changes: str) -> dict[str, str]:
        return os.environ | {
            TAG: self.tag,
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "JOBS_KEY_PREFIX": settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"],
            "MILLRACE_FILES": str(settings.MEDIA_ROOT),
            "MILLRACE_ROLE": "celery",
            "MILLRACE_APPS": "tests.samples,tests.faults.sample",
            **changes,
        }

    @contextmanager
    def entered(self) -> Iterator[Site]:
        """Let this process's Django and Celery work on the site."""
        before = dict(connection.settings_dict)
        url = settings.CELERY_BROKER_URL
        found = variables.database(self.postgres.url)
        connection.close()
        connection.settings_dict |= {key: found[key] for key in ("NAME", "USER", "HOST", "PORT")}
        connection.settings_dict["OPTIONS"] = before["OPTIONS"] | found["OPTIONS"]
        current_app.conf.broker_url = self.valkey.url
        dispatch._drop_broker()
        try:
            yield self
        finally:
            with suppress(OperationalError):
                connection.close()
            dispatch._drop_broker()
            connection.settings_dict |= before
            current_app.conf.broker_url = url

    # --- processes ----------------------------------------------------------------------------

    def start(
        self, command: Sequence[str], name: str, *, prefix: Sequence[str] = (), **changes: str
    ) -> Process:
        """Start a process of the site; `prefix` is a program that runs it, such as faketime."""
        process = Process(
            [*prefix, *command], self.variables | changes, self.folder / f"{name}.log"
        )
        self.processes.append(process)
        return process

    def worker(
        self,
        queues: str = "default",
        slots: int = 2,
        *,
        prefix: Sequence[str] = (),
        ready: bool = True,
        **changes: str,
    ) -> Process:
        """A Celery worker; with `ready` when it has reported itself."""
        name = f"{uuid.uuid4().hex[:8]}@test"
        command = worker_command(name, queues, slots)
        process = self.start(command, name, prefix=prefix, **changes)
        process.name = name
        if ready:
            self.reported(process)
        return process

    def reported(self, worker: Process) -> Process:
        def there() -> bool:
            assert worker.popen.poll() is None, worker.log.read_text()[-2000:]
            return Worker.objects.filter(name=worker.name).exists()

        eventually(there, f"{worker.name} reports itself", 40)
        return worker

    def controller(self, *, prefix: Sequence[str] = (), **changes: str) -> Process:
        return self.start(
            CONTROLLER, f"controller-{uuid.uuid4().hex[:4]}", prefix=prefix, **changes
        )

    def web(self, **changes: str) -> str:
        """The web server; returns its address when it answers."""
        address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "gunicorn", "config.wsgi", "-c", "python:config.gunicorn"]
        own = {"MILLRACE_ROLE": "web", "WEB_CONCURRENCY": "1", "DJANGO_HTTPS": "0"} | changes
        self.start([*command, "--bind", address], "web", **own)

        def answers() -> bool:
            with suppress(OSError):
                return ask(f"http://{address}/readyz")[0]
            return False

        eventually(answers, "the web answers", 40)
        return f"http://{address}"

    def run(self, code: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run Python in a process of the site, with Django set up."""
        setup = "import django; django.setup()\n"
        return subprocess.run(
            [sys.executable, "-c", setup + code],
            env=self.variables | changes,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def living(self) -> list[int]:
        """The processes of this site that live, whoever started them."""
        mark = f"{TAG}={self.tag}".encode()
        return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _has(entry, mark)]

    def end(self) -> None:
        """End every process, then the servers."""
        for process in self.processes:
            process.kill_group(signal.SIGCONT)
            process.kill(signal.SIGTERM)
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(6)
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.popen.wait(5)
        stop_servers([self.postgres, self.valkey])

    # --- rows ---------------------------------------------------------------------------------

    def launch(self, job: str, *, queue: str = "", **parameters: Any) -> JobExecution:
        """Launch a job by name, on its own queue or on a named one."""
        if not queue:
            return control.launch(job=job, parameters=parameters)
        execution = control.launch(job=job, parameters=parameters, deferred=True)
        JobExecution.objects.filter(pk=execution.pk).update(queue=queue)
        execution.refresh_from_db()
        return control.activate(execution)

    def send(self, *executions: uuid.UUID) -> None:
        """Send a message for each, whether or not it is due."""
        with current_app.connection_for_write() as broker:  # the pool may know another site's
            for pk in executions:
                current_app.send_task(
                    TASK, [str(pk)], queue="default", connection=broker, retry=False
                )

    def sql(self, statement: str, *parameters: Any) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


def _has(process: Path, mark: bytes) -> bool:
    try:
        if mark not in (process / "environ").read_bytes():
            return False
        return (process / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def ask(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Send a GET, or a POST with `data`; returns the status and the body, whatever it is."""
    request = Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
