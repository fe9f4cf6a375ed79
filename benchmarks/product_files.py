"""CSV files of generated products, the same on every machine and in every run."""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

CATEGORIES = [f"category-{number:03}" for number in range(500)]
BRANDS = [f"brand-{number:03}" for number in range(200)]
COLUMNS = (
    "sku", "name", "category", "brand", "description",
    "price", "stock", "enabled", "released_on", "changed_at",
)  # fmt: skip
VALUES = ("color", "size", "material", "weight", "ean", "origin", "season", "care")

SEED = 20_260_101
COLORS = ("black", "white", "red", "green", "blue", "yellow", "grey", "brown")
SIZES = ("XS", "S", "M", "L", "XL", "XXL")
MATERIALS = ("cotton", "wool", "linen", "polyester", "leather", "silk")
COUNTRIES = ("DE", "ES", "FR", "IN", "IT", "PL", "PT", "TR", "VN")
SEASONS = ("spring", "summer", "autumn", "winter")
CARES = ("machine wash 30", "machine wash 60", "hand wash", "dry clean", "wipe clean")
WORDS = (
    "light", "warm", "soft", "robust", "classic", "modern", "everyday", "outdoor", "fitted",
    "loose", "elegant", "simple", "durable", "washable", "lined", "breathable",
)  # fmt: skip

BAD_EVERY = 100  # one row in so many is bad: 1 %
FAULTS = {"price": "12,50 EUR", "category": "none", "stock": "1.5", "enabled": "perhaps",
          "released_on": "in spring"}  # fmt: skip
REFUSED_STOCK = "-1"  # a number that only a constraint of the table refuses


@dataclass(frozen=True)
class ProductFile:
    """Products in 18 columns: `path` has all `rows`, `bad` of which have a cell that cannot be.

    `good_path` has the others only, for a side that one bad cell ends.
    """

    path: Path
    good_path: Path
    rows: int

    @property
    def bad(self) -> int:
        return self.rows // BAD_EVERY

    @property
    def good(self) -> int:
        return self.rows - self.bad


def write_products(folder: Path, rows: int, *, changed: bool = False) -> ProductFile:
    """Write the products, once; `changed` differs in every row, in two columns and one value."""
    name = f"products-{rows}{'-changed' if changed else ''}"
    file = ProductFile(folder / f"{name}.csv", folder / f"{name}-good.csv", rows)
    if file.path.exists():
        return file
    with _opened(file.path) as whole, _opened(file.good_path) as good:
        all_rows, good_rows = csv.writer(whole), csv.writer(good)
        for writer in (all_rows, good_rows):
            writer.writerow(COLUMNS + VALUES)
        for number, cells in enumerate(_products(rows, changed), 1):
            if number % BAD_EVERY == 0:
                _spoil(cells, number // BAD_EVERY)
            else:
                good_rows.writerow(cells)
            all_rows.writerow(cells)
    return file


def first_rows(file: ProductFile, rows: int) -> Path:
    """A file of the first good rows only."""
    path = file.good_path.with_name(f"{file.good_path.stem}-first-{rows}.csv")
    with file.good_path.open(encoding="utf-8") as source:
        path.write_text("".join(islice(source, rows + 1)), encoding="utf-8")
    return path


def with_refused_rows(path: Path, every: int) -> tuple[Path, int]:
    """The same file, but one row in so many is refused by the table; and how many."""
    found = path.with_name(f"{path.stem}-refused.csv")
    with path.open(encoding="utf-8", newline="") as source, _opened(found) as target:
        rows, writer = csv.reader(source), csv.writer(target)
        writer.writerow(next(rows))
        refused, place = 0, COLUMNS.index("stock")
        for number, cells in enumerate(rows, 1):
            if number % every == every // 2:
                refused, cells[place] = refused + 1, REFUSED_STOCK
            writer.writerow(cells)
    return found, refused


def _opened(path: Path):
    return path.open("w", encoding="utf-8", newline="")


def _spoil(cells: list, turn: int) -> None:
    """Put a fault into the row, another one each time."""
    column, text = list(FAULTS.items())[turn % len(FAULTS)]
    cells[COLUMNS.index(column)] = text


def _products(rows: int, changed: bool) -> Iterator[list]:
    pick = random.Random(SEED)
    for number in range(rows):
        cents, stock = pick.randrange(100, 100_000), pick.randrange(500)
        grams = pick.randrange(9_999)
        if changed:
            cents, stock, grams = cents + 7, stock + 1, grams + 1
        released = date(2020, 1, 1) + timedelta(days=pick.randrange(2_000))
        changed_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=pick.randrange(10**7))
        yield [
            f"SKU-{number:08}",
            f"{pick.choice(WORDS).capitalize()} {pick.choice(MATERIALS)} product {number}",
            pick.choice(CATEGORIES),
            pick.choice(BRANDS),
            " ".join(pick.choices(WORDS, k=14)) + ".",
            f"{cents // 100}.{cents % 100:02}",
            stock,
            pick.randrange(2),
            released.isoformat(),
            changed_at.isoformat(),
            pick.choice(COLORS),
            pick.choice(SIZES),
            pick.choice(MATERIALS),
            f"{grams / 1000:.3f}",
            f"{4_000_000_000_000 + pick.randrange(10**12)}",
            pick.choice(COUNTRIES),
            pick.choice(SEASONS),
            pick.choice(CARES),
        ]
