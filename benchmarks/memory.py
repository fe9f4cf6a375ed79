"""`memory`: whether the job process grows with the file."""

from pathlib import Path

import psycopg

from benchmarks import launched
from benchmarks.product_files import write_products
from benchmarks.report import Report, progress, target
from benchmarks.target import Target

TIMES = 10
TARGET_GROWTH = 10_000_000  # bytes


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Import a tenth of the rows and all of them, once; the worker is the same."""
    table, peaks = Target(connection), {}
    for count in (rows // TIMES, rows):
        table.empty()
        file = write_products(folder, count)
        run = launched.run(file.path).expect(created=file.good, failed=file.bad)
        peaks[count] = run.peak_bytes
        progress(f"{count:,} rows", run.seconds)
    small, large = peaks.values()
    report = Report(
        "memory", "Memory of the job process, measured once", ["rows", "peak MB"],
        rows=[[f"{count:,}", f"{peak / 1e6:.0f}"] for count, peak in peaks.items()],
        data={"peak_bytes": peaks},
    )  # fmt: skip
    growth = (large - small) / 1e6
    report.notes.append(target("Growth in MB", growth, TARGET_GROWTH / 1e6, at_most=True))
    return report
