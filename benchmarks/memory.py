"""`memory`: whether the job process grows with the file."""

from pathlib import Path

import psycopg

from benchmarks import launched
from benchmarks.product_files import write_products
from benchmarks.report import Report, target
from benchmarks.target import Target

TIMES = 4
TARGET_GROWTH = 10_000_000  # bytes


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Import the file and one four times as long; the worker is the same."""
    table, peaks = Target(connection), {}
    for count in (rows, rows * TIMES):
        table.empty()
        peaks[count] = launched.run(write_products(folder, count).path).peak_bytes
    small, large = peaks.values()
    report = Report(
        "memory", "Memory of the job process", ["rows", "peak MB"],
        rows=[[f"{count:,}", f"{peak / 1e6:.0f}"] for count, peak in peaks.items()],
        data={"peak_bytes": peaks},
    )  # fmt: skip
    growth = (large - small) / 1e6
    report.notes.append(target("Growth in MB", growth, TARGET_GROWTH / 1e6, at_most=True))
    return report
