"""The limit: COPY of the file to a temporary table and one merge, by hand, in one transaction."""

import time
from pathlib import Path

import psycopg

from benchmarks.product_files import COLUMNS, VALUES
from benchmarks.target import FIELDS, TABLE, read_blocks

TYPES = (
    "text", "text", "text", "text", "text",
    "numeric", "integer", "boolean", "date", "timestamptz",
)  # fmt: skip
CHANGES = ", ".join(f"{name} = excluded.{name}" for name in FIELDS.split(", ") if name != "sku")
# An export by hand: the columns of the imported file. Its moments are in UTC and say no zone, as
# XLSX knows none.
PRODUCTS = f"""SELECT p.sku, p.name, c.code AS category, b.code AS brand, p.description,
    p.price, p.stock, p.enabled, p.released_on, p.changed_at AT TIME ZONE 'UTC' AS changed_at,
    {", ".join(f"p.values ->> '{name}' AS {name}" for name in VALUES)}
    FROM {TABLE} p JOIN products_category c ON c.id = p.category_id
    JOIN products_brand b ON b.id = p.brand_id ORDER BY p.id"""


def load(connection: psycopg.Connection, path: Path) -> float:
    """Load the file; PostgreSQL builds the JSON and finds the references. Returns seconds."""
    staged = [*zip(COLUMNS, TYPES, strict=True), *((name, "text") for name in VALUES)]
    definition = ", ".join(f"{name} {of}" for name, of in staged)
    given = {"category": "c.id", "brand": "b.id"}
    selected = ", ".join(given.get(name, f"s.{name}") for name in COLUMNS)
    members = ", ".join(f"'{name}', s.{name}" for name in VALUES)
    began = time.monotonic()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE incoming ({definition}) ON COMMIT DROP")
        with cursor.copy("COPY incoming FROM STDIN (FORMAT csv, HEADER)") as copy:
            for block in read_blocks(path):
                copy.write(block)
        cursor.execute(
            f"""INSERT INTO {TABLE} ({FIELDS})
            SELECT {selected}, jsonb_build_object({members}) FROM incoming s
            JOIN products_category c ON c.code = s.category
            JOIN products_brand b ON b.code = s.brand
            ON CONFLICT (sku) DO UPDATE SET {CHANGES}"""
        )
    return time.monotonic() - began


def save(connection: psycopg.Connection, path: Path) -> float:
    """Write all products to the file. Returns seconds."""
    statement = f"COPY ({PRODUCTS}) TO STDOUT (FORMAT csv, HEADER)"
    began = time.monotonic()
    with path.open("wb") as file, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in copy:
            file.write(block)
    return time.monotonic() - began
