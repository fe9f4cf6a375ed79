"""`engine`: what the platform itself costs, and how soon it does what is asked of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from django.conf import settings

from benchmarks import crowd, fleet, launched
from benchmarks.launched import Failed
from benchmarks.report import Report, p95, target
from jobs import control
from jobs.engine.database import session_name
from jobs.models import JobExecution, JobProfile
from jobs.states import FINISHED, Status

CHUNKS = 600
SLOTS = (2, 3, 4)
ENDLESS = {"items": 1_000_000, "pause": 0.02}
ENFORCED = (Status.STOPPED, Status.ABORTED)  # it left by itself, or had to be ended
MILLISECONDS = 1000


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Measure one after the other; `rounds` says how often, `rows` is of no use here."""
    report = Report("engine", "The engine's own work", ["what", "median", "p95", "of"])
    _drain(report, folder, executions=80 * rounds)
    with fleet.worker(folder, "engine", slots=2):
        _start(report, launches=20 * rounds)
        _chunks(report)
        _stop(report, rounds=4 * rounds)
        _abort(report, rounds)
        _statement(report, connection, rounds)
    _kill(report, folder)
    crowd.measure(report, connection, folder, rounds)
    return report


def launch(queue: str, job: str, **parameters: Any) -> JobExecution:
    """Launch the job on the queue."""
    profile, _ = JobProfile.objects.get_or_create(
        code=f"{queue}-{job.replace('.', '-')}", defaults={"label": job, "job": job, "queue": queue}
    )
    return control.launch(profile=profile, parameters=parameters)


def _drain(report: Report, folder: Path, executions: int) -> None:
    """How many executions that do nothing end in a second; each has a process of its own."""
    best = 0.0
    for slots in SLOTS:
        queue = f"drain{slots}"
        launches = [launch(queue, "products.nothing").pk for _ in range(executions)]
        found = JobExecution.objects.filter(pk__in=launches)
        with fleet.worker(folder, queue, slots):
            _wait_for(lambda: not found.exclude(status__in=FINISHED).exists(), "the queue is empty")  # noqa: B023
        if found.exclude(status=Status.COMPLETED, attempt=1).exists():
            raise Failed("Not every execution completed in its first attempt.")
        times = found.values_list("started_at", "finished_at")
        took = max(end for _, end in times) - min(begin for begin, _ in times)
        rate = executions / took.total_seconds()
        best = max(best, rate)
        report.rows.append([f"executions/s, {slots} slots", f"{rate:.1f}", "", f"{executions}"])
        report.data[f"executions_per_second_{slots}"] = rate
    report.notes.append(target("Executions in a second", best, 40))


def _start(report: Report, launches: int) -> None:
    """From the message to the claim, when a slot is free."""
    took = []
    for _ in range(launches):
        execution = _finished(launch("engine", "products.nothing"))
        took.append((execution.started_at - execution.dispatched_at).total_seconds())
    _add(report, "published to running", took)
    report.notes.append(target("Start in ms, p95", p95(took) * MILLISECONDS, 50, at_most=True))


def _chunks(report: Report) -> None:
    """What a chunk costs that does nothing."""
    execution = _finished(launch("engine", "products.chunks", items=CHUNKS))
    step = execution.steps.get()
    if step.processed != CHUNKS:
        raise Failed(f"{step.processed} chunks were counted instead of {CHUNKS}.")
    each = (step.finished_at - step.started_at).total_seconds() / CHUNKS
    report.rows.append(["a chunk", f"{each * MILLISECONDS:.2f} ms", "", str(CHUNKS)])
    report.data["chunk"] = each
    report.notes.append(target("A chunk in ms", each * MILLISECONDS, 8, at_most=True))


def _stop(report: Report, rounds: int) -> None:
    took = [_time(launch("engine", "products.chunks", **ENDLESS), control.stop, Status.STOPPED)
            for _ in range(rounds)]  # fmt: skip
    _add(report, "stop at a checkpoint", took)
    report.notes.append(target("Stop in s, p95", p95(took), 1.5, at_most=True))


def _abort(report: Report, rounds: int) -> None:
    took = [_time(launch("engine", "products.stuck"), control.abort, Status.ABORTED)
            for _ in range(rounds)]  # fmt: skip
    _add(report, "abort in a call of C", took)
    report.notes.append(target("Abort in s, p95", p95(took), 2.5, at_most=True))


def _statement(report: Report, connection: psycopg.Connection, rounds: int) -> None:
    """Stop a job within a statement: is any of its statements left on the server?"""
    took, left = [], 0
    for _ in range(rounds):
        execution = launch("engine", "products.statement")
        with _statements(connection, execution) as running:
            took.append(_time(execution, _interrupt, *ENFORCED, when=running))
            left += running()
    _add(report, "stop in a statement, without grace", took)
    report.data["statements_left"] = left
    report.notes.append(target("Statements left on the server", left, 0, at_most=True))


def _interrupt(execution: JobExecution) -> None:
    control.stop(execution, grace_seconds=0)


@contextmanager
def _statements(
    connection: psycopg.Connection, execution: JobExecution
) -> Iterator[Callable[[], int]]:
    """Count what the server executes for the execution."""

    def count() -> int:
        execution.refresh_from_db()
        (found,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            " AND state = 'active' AND query LIKE '%%pg_sleep%%'",
            [session_name(execution)],
        ).fetchone()
        return found

    yield count


def _kill(report: Report, folder: Path) -> None:
    """From kill -9 of a worker to its execution running on another."""
    with (
        fleet.worker(folder, "kill", 1, "a") as first,
        fleet.worker(folder, "kill", 1, "b") as second,
    ):
        execution = launch("kill", "products.chunks", **ENDLESS)
        _wait(execution, lambda: execution.checkpoints > 1)
        victim = first if execution.worker.startswith("killa@") else second
        began = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        _wait(execution, lambda: execution.attempt == 2 and execution.status == Status.RUNNING)
        took = time.monotonic() - began
        control.abort(execution)
        _finished(execution)
    report.rows.append(["worker killed, running elsewhere", f"{took:.1f} s", "", "1"])
    report.data["killed_worker"] = took
    limit = 2 * settings.JOBS_LEASE_SECONDS + 1
    report.notes.append(target("Running elsewhere in s", took, limit, at_most=True))


def _time(
    execution: JobExecution,
    ask: Callable[[JobExecution], Any],
    *endings: Status,
    when: Callable[[], Any] | None = None,
) -> float:
    """Seconds from the request to the end, as the execution has it."""
    running = when or (lambda: execution.status == Status.RUNNING and execution.pid)
    _wait(execution, running)
    ask(execution)
    _finished(execution)
    if execution.status not in endings:
        expected = " or ".join(endings)
        raise Failed(f"It ended {execution.status} instead of {expected}: {execution.error}")
    return (execution.finished_at - execution.stop_requested_at).total_seconds()


def _finished(execution: JobExecution) -> JobExecution:
    _wait(execution, lambda: execution.status in FINISHED)
    return execution


def _wait(execution: JobExecution, fact: Callable[[], Any]) -> None:
    launched.wait(execution, fact, seconds=180)


def _wait_for(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 180
    while not fact():
        if time.monotonic() > deadline:
            raise Failed(f"Not within three minutes: {what}.")
        time.sleep(0.1)


def _add(report: Report, what: str, took: list[float]) -> None:
    shown = [f"{seconds * MILLISECONDS:.0f} ms" for seconds in (median(took), p95(took))]
    report.rows.append([what, *shown, str(len(took))])
    report.data[what.replace(" ", "_")] = took
