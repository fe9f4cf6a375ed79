"""`import`: the whole platform against COPY and one merge, new, changed and unchanged rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import launched, raw
from benchmarks.launched import Failed
from benchmarks.product_files import ProductFile, write_products
from benchmarks.report import Report, target
from benchmarks.target import Target

MODES = ("new", "changed", "unchanged")
TARGET_RATIO = 0.70
TARGET_BYTES = 150_000_000
COUNTED = {"new": "created", "changed": "updated", "unchanged": "unchanged"}
COLUMNS = ["rows are", "ratio", "ratio, launch to seen", "ratio to prepared JSON"]
COLUMNS += ["Millrace rows/s", "COPY + merge rows/s", "with prepared JSON rows/s"]


@dataclass
class Side:
    """Seconds of every round, by mode."""

    load: Callable[[ProductFile], float]
    seconds: dict[str, list[float]]

    def median(self, mode: str) -> float:
        return median(self.seconds[mode])


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Run the sides in turn, round after round, each from the same state of the table."""
    table = Target(connection)
    before = write_products(folder, rows)
    files = {"new": before, "unchanged": before}
    files["changed"] = write_products(folder, rows, changed=True)
    runs: dict[str, list[launched.Run]] = {mode: [] for mode in MODES}
    sides = {
        "plain": Side(partial(raw.load_plain, connection), {mode: [] for mode in MODES}),
        "prepared": Side(partial(raw.load_prepared, connection), {mode: [] for mode in MODES}),
    }
    table.empty()
    raw.load_plain(connection, before)
    table.remember()
    for number in range(rounds):
        for mode in MODES:
            digests = set()
            for name in _order(number):
                table.empty() if mode == "new" else table.fill()
                if name == "millrace":
                    runs[mode].append(_run(files[mode], mode))
                else:
                    side = sides[name]
                    side.seconds[mode].append(side.load(files[mode]))
                digests.add(table.digest())
            if len(digests) != 1:
                raise Failed(f"The sides left different rows behind ({mode}): {digests}.")
    return _report(rows, rounds, runs, sides)


def _order(number: int) -> list[str]:
    """Another side first in every round, so that none always has the warmer or quieter machine."""
    names = ["plain", "millrace", "prepared"]
    return names[number % 3 :] + names[: number % 3]


def _run(file: ProductFile, mode: str) -> launched.Run:
    run = launched.run(file.path)
    counted = getattr(run.execution.steps.get(), COUNTED[mode])
    if counted != file.rows:
        raise Failed(f"{counted} of {file.rows} rows were counted as {COUNTED[mode]}.")
    return run


def _report(
    rows: int, rounds: int, runs: dict[str, list[launched.Run]], sides: dict[str, Side]
) -> Report:
    report = Report("import", f"Import of {rows:,} rows, median of {rounds} rounds", COLUMNS)
    peak = max(run.peak_bytes for found in runs.values() for run in found)
    for mode in MODES:
        own = median(run.seconds for run in runs[mode])
        seen = median(run.seen_seconds for run in runs[mode])
        plain, prepared = sides["plain"].median(mode), sides["prepared"].median(mode)
        ratios = [f"{ratio:.2f}" for ratio in (plain / own, plain / seen, prepared / own)]
        rates = [f"{rows / seconds:,.0f}" for seconds in (own, plain, prepared)]
        report.rows.append([mode, *ratios, *rates])
        if mode != "unchanged":
            report.notes.append(target(f"Ratio, {mode} rows", plain / own, TARGET_RATIO))
    report.notes.append(
        target("Peak memory of the job process in MB", peak / 1e6, TARGET_BYTES / 1e6, at_most=True)
    )
    used = median(run.cpu_seconds for run in runs["new"]) / rows * 1e6
    report.notes.append(f"CPU time of the job process: {used:.1f} µs for a new row.")
    report.data = {
        "rows": rows,
        "millrace": {mode: [run.seconds for run in runs[mode]] for mode in MODES},
        "millrace_seen": {mode: [run.seen_seconds for run in runs[mode]] for mode in MODES},
        "job_cpu_seconds": {mode: [run.cpu_seconds for run in runs[mode]] for mode in MODES},
        "copy_and_merge": sides["plain"].seconds,
        "copy_and_merge_of_prepared_json": sides["prepared"].seconds,
        "peak_bytes": {mode: [run.peak_bytes for run in runs[mode]] for mode in MODES},
    }
    return report
