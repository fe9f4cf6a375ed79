"""Whether people wait longer when ten thousand executions are queued."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from django.contrib.auth.models import User
from django.test import Client

from benchmarks import fleet, launched
from benchmarks.launched import Failed
from benchmarks.report import Report, p95, target
from jobs import control
from jobs.models import ApiToken, JobExecution, JobProfile
from jobs.states import FINISHED, Status

QUEUED = 10_000
CALLS = 20
TARGET_RATIO = 1.2
QUEUE = "crowd"
Times = dict[str, list[float]]


def measure(report: Report, connection: psycopg.Connection, folder: Path, rounds: int) -> None:
    """Launch, list and stop over the API, by turns with an empty and with a full queue.

    The one slot of the queue's worker is taken all the time, so that what is queued stays so.
    """
    profile = JobProfile.objects.create(
        code=QUEUE, label="Crowd", job="products.statement", queue=QUEUE
    )
    api = _Api()
    empty, full = Times(), Times()
    with fleet.worker(folder, QUEUE, slots=1):
        taker = control.launch(profile=profile)
        launched.wait(taker, lambda: taker.status == Status.RUNNING)
        pattern = control.launch(profile=profile, deferred=True)
        for turn in range(rounds):
            for crowded in (False, True) if turn % 2 else (True, False):
                (_fill if crowded else _clear)(connection, pattern)
                api.use(full if crowded else empty)
        _clear(connection, pattern)
        control.stop(pattern)
        control.abort(taker)
        launched.wait(taker, lambda: taker.status in FINISHED)
    _add(report, empty, full)


def _fill(connection: psycopg.Connection, pattern: JobExecution) -> None:
    """Queue copies of the pattern."""
    given = {"id": "uuidv7()", "status": "'queued'", "queued_at": "clock_timestamp()"}
    columns = [field.column for field in JobExecution._meta.concrete_fields]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(given.get(column, f'"{column}"') for column in columns)
    connection.execute(
        f"INSERT INTO jobs_jobexecution ({names}) SELECT {values}"
        f" FROM jobs_jobexecution, generate_series(1, {QUEUED}) WHERE id = %s",
        [pattern.pk],
    )
    connection.execute("VACUUM ANALYZE jobs_jobexecution")


def _clear(connection: psycopg.Connection, pattern: JobExecution) -> None:
    connection.execute(
        "DELETE FROM jobs_jobexecution WHERE queue = %s AND status = 'queued' AND id <> %s",
        [QUEUE, pattern.pk],
    )
    connection.execute("VACUUM ANALYZE jobs_jobexecution")


class _Api:
    """A person's client, answered in this process: what is timed is the site, not the network."""

    def __init__(self) -> None:
        user = User.objects.create_superuser("benchmarks")
        _, token = ApiToken.objects.create(user, name="benchmarks")
        self.client = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {token}"})
        self.use(Times())  # what is done once is not timed

    def use(self, times: Times) -> None:
        """Call each address some times and keep how long it took."""
        for _ in range(CALLS):
            launch = self._timed(times, "launch", self._post, f"profiles/{QUEUE}/executions/")
            self._timed(times, "list", self.client.get, "/api/v1/executions/")
            self._timed(times, "stop", self._post, f"executions/{launch.json()['id']}/stop/")

    def _post(self, path: str) -> Any:
        return self.client.post(f"/api/v1/{path}", json.dumps({}), "application/json")

    def _timed(self, times: Times, name: str, call: Callable[[str], Any], path: str) -> Any:
        began = time.perf_counter()
        answer = call(path)
        times.setdefault(name, []).append(time.perf_counter() - began)
        if answer.status_code >= 300:
            raise Failed(f"{path} answered {answer.status_code}: {answer.content.decode()}")
        return answer


def _add(report: Report, empty: Times, full: Times) -> None:
    for name in full:
        for words, times in (("empty queue", empty[name]), (f"{QUEUED:,} queued", full[name])):
            shown = [f"{seconds * 1000:.1f} ms" for seconds in (median(times), p95(times))]
            report.rows.append([f"{name}, {words}", *shown, str(len(times))])
        ratio = p95(full[name]) / p95(empty[name])
        report.notes.append(
            target(f"{name.capitalize()} with {QUEUED:,} queued, p95 as a ratio", ratio,
                   TARGET_RATIO, at_most=True)
        )  # fmt: skip
    report.data["crowd"] = {"empty": empty, "full": full}
