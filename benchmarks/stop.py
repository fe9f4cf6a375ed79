"""`stop`: how long a running import goes on after somebody has asked it to stop."""

import random
import time
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import launched
from benchmarks.launched import Failed
from benchmarks.product_files import write_products
from benchmarks.report import Report, target
from benchmarks.target import Target
from jobs import control
from jobs.states import FINISHED, Status

LEAST_ROUNDS = 5
MOST_ROWS = 100_000
TARGET_SECONDS = 1.5


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Stop the import of new rows at a random moment, again and again."""
    rows = min(rows, MOST_ROWS)
    table, file = Target(connection), write_products(folder, rows)
    moments = random.Random(1)
    stopped, seen = [], []
    for _ in range(max(LEAST_ROUNDS, rounds)):
        table.empty()
        own, client = _stop_one(table, file.good_path, delay=moments.uniform(0, 0.5))
        stopped.append(own)
        seen.append(client)
    report = Report(
        "stop",
        f"Stop of a running import of {rows:,} rows, {len(stopped)} times",
        ["seconds from the request", "median", "max"],
    )
    for label, found in (("to the end of the execution", stopped), ("to the client's view", seen)):
        report.rows.append([label, f"{median(found):.2f}", f"{max(found):.2f}"])
    report.notes.append(target("Slowest stop in seconds", max(seen), TARGET_SECONDS, at_most=True))
    report.data = {"rows": rows, "stopped": stopped, "seen": seen}
    return report


def _stop_one(table: Target, path: Path, delay: float) -> tuple[float, float]:
    """Seconds from the request to the end: as the execution has it, and as the client sees it."""
    execution = launched.launch(path)
    launched.wait(execution, lambda: execution.checkpoints > 1)
    time.sleep(delay)
    began = time.monotonic()
    try:
        control.stop(execution)
    except control.AlreadyFinished:
        raise Failed("The import was over before the stop. Let it have more --rows.") from None
    launched.wait(execution, lambda: execution.status in FINISHED)
    seen = time.monotonic() - began
    written, counted = table.count(), execution.steps.get().processed
    if execution.status != Status.STOPPED or written != counted:
        raise Failed(
            f"The import ended {execution.status}; {written} rows are written, {counted} counted."
        )
    return (execution.finished_at - execution.stop_requested_at).total_seconds(), seen
