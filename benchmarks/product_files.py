"""CSV files of generated products, the same on every machine and in every run."""

import csv
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
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


@dataclass(frozen=True)
class ProductFile:
    """The same products twice: as people have them, and prepared for the target's columns.

    `path` has 18 columns. `prepared_path` has 11: the last eight are one JSON text already.
    """

    path: Path
    prepared_path: Path
    rows: int


def write_products(folder: Path, rows: int, *, changed: bool = False) -> ProductFile:
    """Write the products; `changed` differs in every row, in two columns and one JSON value."""
    name = f"products-{rows}{'-changed' if changed else ''}"
    file = ProductFile(folder / f"{name}.csv", folder / f"{name}-prepared.csv", rows)
    with (
        file.path.open("w", encoding="utf-8", newline="") as plain,
        file.prepared_path.open("w", encoding="utf-8", newline="") as prepared,
    ):
        plain_writer, prepared_writer = csv.writer(plain), csv.writer(prepared)
        plain_writer.writerow(COLUMNS + VALUES)
        prepared_writer.writerow((*COLUMNS, "values"))
        for cells, values in _products(rows, changed):
            plain_writer.writerow((*cells, *values))
            text = json.dumps(dict(zip(VALUES, values, strict=True)))
            prepared_writer.writerow((*cells, text))
    return file


def _products(rows: int, changed: bool) -> Iterator[tuple[tuple, tuple]]:
    pick = random.Random(SEED)
    for number in range(rows):
        cents, stock = pick.randrange(100, 100_000), pick.randrange(500)
        grams = pick.randrange(9_999)
        if changed:
            cents, stock, grams = cents + 7, stock + 1, grams + 1
        released = date(2020, 1, 1) + timedelta(days=pick.randrange(2_000))
        changed_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=pick.randrange(10**7))
        cells = (
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
        )
        values = (
            pick.choice(COLORS),
            pick.choice(SIZES),
            pick.choice(MATERIALS),
            f"{grams / 1000:.3f}",
            f"{4_000_000_000_000 + pick.randrange(10**12)}",
            pick.choice(COUNTRIES),
            pick.choice(SEASONS),
            pick.choice(CARES),
        )
        yield cells, values
