"""`real`: two real files with real dirt through the whole platform, and once more, unchanged.

MILLRACE_DATA names the folder that has them: `openfoodfacts_lifyzer` (165,371 food products) and
`icecat` (a catalogue in five files).
"""

import csv
import gzip
import os
from itertools import islice
from pathlib import Path

import psycopg
from django.db.models import Count

from benchmarks import launched
from benchmarks.food.models import Food
from benchmarks.launched import Failed, Run
from benchmarks.report import Report, progress
from jobs.models import StepWarning

FOOD = "openfoodfacts_lifyzer/food_products_sample.csv.gz"
CATALOGUE = {
    "categories.csv": "catalog.category.import",
    "attributes.csv": "catalog.attribute.import",
    "attribute_options.csv": "catalog.attribute_option.import",
    "families.csv": "catalog.family.import",
    "products.csv": "catalog.product.import",
}  # families name attributes, products name families and categories
COLUMNS = ["file", "time", "rows", "seconds", "rows/s", "counted", "job CPU µs/row", "peak MB"]


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Import each file twice; of the food products at most so many rows. Measured once."""
    report = Report("real", "Real files, measured once", COLUMNS)
    data = _data()
    food = _first_rows(data / FOOD, folder / "food.csv", rows)
    for time in ("first", "again"):
        _import(report, "food products", time, food, "food.food.import")
        if time == "first":
            connection.execute(f"VACUUM (ANALYZE) {Food._meta.db_table}")
    for time in ("first", "again"):
        for name, job in CATALOGUE.items():
            _import(report, f"icecat/{name}", time, data / "icecat" / name, job)
    return report


def _data() -> Path:
    folder = Path(os.environ.get("MILLRACE_DATA") or "nowhere")
    missing = [
        name
        for name in (FOOD, *(f"icecat/{file}" for file in CATALOGUE))
        if not (folder / name).is_file()
    ]
    if missing:
        raise Failed(f"MILLRACE_DATA must name the folder of real data; it has no {missing[0]}.")
    return folder


def _first_rows(packed: Path, path: Path, rows: int) -> Path:
    """The file's first rows, unpacked."""
    with (
        gzip.open(packed, "rt", encoding="utf-8", newline="") as source,
        path.open("w", encoding="utf-8", newline="") as target,
    ):
        csv.writer(target).writerows(islice(csv.reader(source), rows + 1))
    return path


def _import(report: Report, name: str, time: str, path: Path, job: str) -> None:
    run = launched.run(path, job)
    progress(f"{name}, {time}", run.seconds)
    if time == "again" and run.counts.get("created"):
        raise Failed(f"The second import of {name} created rows: {run.counts}.")
    rows = sum(run.counts.values())
    counted = ", ".join(f"{count:,} {name}" for name, count in run.counts.items())
    report.rows.append([
        name, time, f"{rows:,}", f"{run.seconds:.2f}", f"{rows / run.seconds:,.0f}", counted,
        f"{run.cpu_seconds / rows * 1e6:.1f}", f"{run.peak_bytes / 1e6:.0f}",
    ])  # fmt: skip
    warnings = _warnings(run)
    if warnings and time == "first":
        said = ", ".join(f"{count:,} {code}" for code, count in warnings.items())
        report.notes.append(f"Warnings of {name}: {said}.")
    report.data[f"{name}, {time}"] = {
        "seconds": run.seconds, "cpu_seconds": run.cpu_seconds, "peak_bytes": run.peak_bytes,
        "counts": run.counts, "warnings": warnings,
    }  # fmt: skip


def _warnings(run: Run) -> dict[str, int]:
    """How many warnings there are of each code."""
    found = StepWarning.objects.filter(step__execution=run.execution)
    counted = found.values_list("code").annotate(count=Count("pk"))
    return dict(counted.order_by("-count", "code"))
