"""`peers`: the same rows with django-import-export and with Django's `bulk_create`."""

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import launched, peer_resources, raw
from benchmarks.launched import Failed
from benchmarks.product_files import BAD_EVERY, COLUMNS, VALUES, first_rows, write_products
from benchmarks.products.models import Brand, Category, Product
from benchmarks.report import Report, progress, target
from benchmarks.target import Target

MODES = ("new", "changed")
MOST_ROWS = 200_000  # of Millrace's side
MANY, FEW = 20_000, 5_000  # of the others: few where one is slower than this
SLOW = 200  # rows/s
LONG_SECONDS = 30  # what takes longer is measured once
BATCH = 1000
COLUMNS_SHOWN = ["with", "rows are", "rows/s", "Millrace is faster by", "CPU µs/row", "of", "times"]
Load = Callable[[Path], None]


def bulk_create(path: Path) -> None:
    """As a developer would write it by hand: rows are trusted, references are read at once."""
    categories = dict(Category.objects.values_list("code", "pk"))
    brands = dict(Brand.objects.values_list("code", "pk"))
    changing = [name for name in (*COLUMNS, "values") if name != "sku"]
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        while batch := list(islice(rows, BATCH)):
            Product.objects.bulk_create(
                [_product(row, categories, brands) for row in batch],
                update_conflicts=True,
                unique_fields=["sku"],
                update_fields=changing,
            )


def _product(row: dict[str, str], categories: dict[str, int], brands: dict[str, int]) -> Product:
    return Product(
        sku=row["sku"],
        name=row["name"],
        category_id=categories[row["category"]],
        brand_id=brands[row["brand"]],
        description=row["description"],
        price=Decimal(row["price"]),
        stock=int(row["stock"]),
        enabled=row["enabled"] == "1",
        released_on=date.fromisoformat(row["released_on"]),
        changed_at=datetime.fromisoformat(row["changed_at"]),
        values={name: row[name] for name in VALUES},
    )


# How many times Millrace should be faster, for new rows and for changed ones.
PEERS: dict[str, tuple[Load, tuple[float, float]]] = {
    "django-import-export": (
        partial(peer_resources.load, peer_resources.PlainResource), (60, 150),
    ),
    "django-import-export, tuned": (
        partial(peer_resources.load, peer_resources.TunedResource), (10, 20),
    ),
    "bulk_create(update_conflicts)": (bulk_create, (3, 2)),
}  # fmt: skip


@dataclass
class Rates:
    """Rows a second, round after round, and CPU seconds a row of the client's process."""

    rows: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class Peers:
    """All sides, one after the other; each from a table of the same content."""

    def __init__(self, connection: psycopg.Connection, folder: Path, rows: int):
        self.connection, self.table = connection, Target(connection)
        rows = min(rows, MOST_ROWS)
        self.before = write_products(folder, rows)
        self.files = {"new": self.before, "changed": write_products(folder, rows, changed=True)}
        self.many, self.few = (min(count, self.before.good) for count in (MANY, FEW))
        self.millrace = {mode: Rates(rows) for mode in MODES}
        self.others: dict[tuple[str, str], Rates] = {}
        self.expected: dict[tuple[str, int], tuple[int, int]] = {}
        self.table.empty()
        raw.load(connection, self.before.good_path)
        self.table.remember()

    def round(self, number: int) -> None:
        for mode in MODES if number % 2 == 0 else reversed(MODES):
            self._platform(mode)
            for name in PEERS:
                self._peer(name, mode)

    def _platform(self, mode: str) -> None:
        self.table.empty() if mode == "new" else self.table.fill()
        counted = {"new": "created", "changed": "updated"}[mode]
        file, rates = self.files[mode], self.millrace[mode]
        run = launched.run(file.path).expect(**{counted: file.good}, failed=file.bad)
        rates.rates.append(file.rows / run.seconds)
        rates.cpu.append(run.cpu_seconds / file.rows)
        progress(f"{mode}, Millrace", run.seconds)

    def _peer(self, name: str, mode: str) -> None:
        """Few rows the first time; if that is quick enough, many."""
        known = self.others.get((name, mode))
        if known is None:
            known = self.others[name, mode] = Rates(self.few)
            if self._load(name, mode, known) > SLOW and self.many > self.few:
                known = self.others[name, mode] = Rates(self.many)
                self._load(name, mode, known)
        elif known.rows / median(known.rates) < LONG_SECONDS:
            self._load(name, mode, known)

    def _load(self, name: str, mode: str, rates: Rates) -> float:
        """Rows a second of this peer."""
        path = self._prepare(mode, rates.rows)
        load, _ = PEERS[name]
        began, cpu_began = time.monotonic(), time.process_time()
        load(path)
        took, cpu = time.monotonic() - began, time.process_time() - cpu_began
        if self.table.digest() != self._expected(mode, rates.rows):
            raise Failed(f"{name} left other rows behind than COPY and merge ({mode}).")
        rates.rates.append(rates.rows / took)
        rates.cpu.append(cpu / rates.rows)
        progress(f"{mode}, {name}, {rates.rows:,} rows", took)
        return rates.rows / took

    def _prepare(self, mode: str, rows: int) -> Path:
        """The file of so many rows, and the table as it is before it."""
        self.table.empty()
        if mode == "changed":
            raw.load(self.connection, first_rows(self.before, rows))
        self.table.analyze()
        return first_rows(self.files[mode], rows)

    def _expected(self, mode: str, rows: int) -> tuple[int, int]:
        if (mode, rows) not in self.expected:
            raw.load(self.connection, self._prepare(mode, rows))
            self.expected[mode, rows] = self.table.digest()
        return self.expected[mode, rows]


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Load the first rows of the same file with the others, and the file with Millrace."""
    peers = Peers(connection, folder, rows)
    for number in range(rounds):
        peers.round(number)
    report = Report("peers", f"Import with others, median of {rounds} rounds", COLUMNS_SHOWN)
    for mode in MODES:
        own = peers.millrace[mode]
        _add(report, "Millrace", mode, own, 1.0)
        for name, (_, limits) in PEERS.items():
            found = peers.others[name, mode]
            faster = median(own.rates) / median(found.rates)
            _add(report, name, mode, found, faster)
            limit = limits[MODES.index(mode)]
            report.notes.append(target(f"Times as fast as {name}, {mode} rows", faster, limit))
    report.notes.append(
        f"Millrace's file has one bad row in {BAD_EVERY}; the others get the good ones only. What "
        f"takes more than {LONG_SECONDS} s is measured once."
    )
    return report


def _add(report: Report, name: str, mode: str, found: Rates, faster: float) -> None:
    report.rows.append([
        name, mode, f"{median(found.rates):,.0f}", f"{faster:.1f}",
        f"{median(found.cpu) * 1e6:.0f}", f"{found.rows:,}", str(len(found.rates)),
    ])  # fmt: skip
    report.data[f"{name}, {mode}"] = {
        "rows": found.rows, "rows_per_second": found.rates, "cpu_seconds_per_row": found.cpu,
        "faster": faster,
    }  # fmt: skip
