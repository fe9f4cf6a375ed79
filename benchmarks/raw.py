"""The limit: COPY of the file to a temporary table and one merge, by hand, in one transaction."""

import time
from pathlib import Path

import psycopg

from benchmarks.product_files import COLUMNS, VALUES, ProductFile
from benchmarks.target import FIELDS, TABLE, read_blocks

TYPES = (
    "text", "text", "text", "text", "text",
    "numeric", "integer", "boolean", "date", "timestamptz",
)  # fmt: skip
CHANGES = ", ".join(f"{name} = excluded.{name}" for name in FIELDS.split(", ") if name != "sku")


def load_plain(connection: psycopg.Connection, file: ProductFile) -> float:
    """Load the very file that the platform gets; PostgreSQL builds the JSON. Returns seconds."""
    members = ", ".join(f"'{name}', s.{name}" for name in VALUES)
    staged = [*zip(COLUMNS, TYPES, strict=True), *((name, "text") for name in VALUES)]
    return _load(connection, file.path, staged, f"jsonb_build_object({members})")


def load_prepared(connection: psycopg.Connection, file: ProductFile) -> float:
    """Load the same rows with their JSON made beforehand: nothing is left to do but to store."""
    staged = [*zip(COLUMNS, TYPES, strict=True), ("values", "jsonb")]
    return _load(connection, file.prepared_path, staged, "s.values")


def _load(
    connection: psycopg.Connection, path: Path, staged: list[tuple[str, str]], values: str
) -> float:
    definition = ", ".join(f"{name} {of}" for name, of in staged)
    given = {"category": "c.id", "brand": "b.id"}
    selected = ", ".join(given.get(name, f"s.{name}") for name in COLUMNS)
    began = time.monotonic()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE incoming ({definition}) ON COMMIT DROP")
        with cursor.copy("COPY incoming FROM STDIN (FORMAT csv, HEADER)") as copy:
            for block in read_blocks(path):
                copy.write(block)
        cursor.execute(
            f"""INSERT INTO {TABLE} ({FIELDS}) SELECT {selected}, {values} FROM incoming s
            JOIN products_category c ON c.code = s.category
            JOIN products_brand b ON b.code = s.brand
            ON CONFLICT (sku) DO UPDATE SET {CHANGES}"""
        )
    return time.monotonic() - began
