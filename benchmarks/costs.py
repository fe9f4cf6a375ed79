"""`costs`: what the ledger, `field.clean()` and rows that only the database refuses cost."""

from collections import defaultdict
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import launched, raw
from benchmarks.launched import JOB, Run
from benchmarks.product_files import with_refused_rows, write_products
from benchmarks.report import Report, progress, target
from benchmarks.target import Target
from jobs.engine.staged import LARGEST

MOST_ROWS = 200_000
CLEANED = "products.cleaned.import"
COLUMNS = ["import", "seconds", "times that of", "rows/s", "job CPU µs/row"]
# What is compared with what, and at most how many times its time it may take.
LIMITS = {
    "new, with ledger": ("new", 1.6),
    "changed, with ledger": ("changed", 1.6),
    "new, a refused row in each chunk": ("new", 2.0),
    "new, with field.clean()": ("new", None),
}
MOST_CPU = 20  # µs a row


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Take at most 200,000 rows: it is the cost of each row, by turns with and without."""
    rows = min(rows, MOST_ROWS)
    table, file = Target(connection), write_products(folder, rows)
    changed = write_products(folder, rows, changed=True).good_path
    refused, count = with_refused_rows(file.good_path, min(LARGEST, file.good))
    table.empty()
    raw.load(connection, file.good_path)
    table.remember()
    cases = {
        "new": (file.good_path, JOB, {}),
        "new, with ledger": (file.good_path, JOB, {"ledger": True}),
        "new, a refused row in each chunk": (refused, JOB, {}),
        "new, with field.clean()": (file.good_path, CLEANED, {}),
        "changed": (changed, JOB, {}),
        "changed, with ledger": (changed, JOB, {"ledger": True}),
    }
    runs: dict[str, list[Run]] = defaultdict(list)
    for number in range(rounds):
        names = list(cases)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            path, job, parameters = cases[name]
            bad = count if path is refused else 0
            is_new = name.startswith("new")
            table.empty() if is_new else table.fill()
            run = launched.run(path, job, **parameters)
            run.expect(**{"created" if is_new else "updated": file.good - bad}, failed=bad)
            runs[name].append(run)
            progress(name, run.seconds)
    return _report(file.good, rounds, {name: runs[name] for name in cases})


def _report(rows: int, rounds: int, runs: dict[str, list[Run]]) -> Report:
    title = f"What options cost, {rows:,} rows, median of {rounds} rounds"
    report = Report("costs", title, COLUMNS)
    took = {name: median(run.seconds for run in found) for name, found in runs.items()}
    used = {
        name: median(run.cpu_seconds for run in found) / rows * 1e6 for name, found in runs.items()
    }
    for name, seconds in took.items():
        than, limit = LIMITS.get(name, ("", None))
        ratio = f"{seconds / took[than]:.2f} {than}" if than else ""
        rate = f"{rows / seconds:,.0f}"
        report.rows.append([name, f"{seconds:.2f}", ratio, rate, f"{used[name]:.1f}"])
        if limit:
            report.notes.append(
                target(f"Times the time, {name}", seconds / took[than], limit, at_most=True)
            )
    cleaned = used["new, with field.clean()"]
    report.notes.append(
        target("CPU of the job process with field.clean(), µs", cleaned, MOST_CPU, at_most=True)
    )
    report.data = {
        name: {
            "rows": rows,
            "seconds": [run.seconds for run in found],
            "job_cpu_seconds": [run.cpu_seconds for run in found],
            "peak_bytes": [run.peak_bytes for run in found],
            "counts": found[-1].counts,
        }
        for name, found in runs.items()
    }
    return report
