"""XLSX files with other libraries, and files of every format read by them."""

import csv
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pyarrow.parquet
import xlsxwriter
from python_calamine import CalamineWorkbook

from benchmarks import launched, raw
from benchmarks.launched import Failed
from benchmarks.report import progress
from jobs.formats.base import Options
from jobs.formats.reading import open_reader

BATCH = 5000
Times = dict[str, list[float]]


def count_rows(path: Path, of: str) -> int:
    """The rows of a file, without its header, as other libraries read it."""
    if of == "parquet":
        return pyarrow.parquet.read_metadata(path).num_rows
    if of == "xlsx":
        return _read_with_calamine(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        if of == "jsonl":
            return sum(1 for line in file if json.loads(line))
        return sum(1 for _ in csv.reader(file)) - 1


def reading(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Times:
    """Seconds of reading all cells of a file with shared strings, as Excel writes them."""
    path = folder / "shared.xlsx"
    _with_xlsxwriter(connection, path)

    def all_of(read: Callable[[Path], int]) -> None:
        if (found := read(path)) != rows:
            raise Failed(f"{read.__name__} found {found} rows instead of {rows}.")

    return _timed("reading", rounds, {
        "openpyxl": lambda: all_of(_read_with_openpyxl),
        "Millrace": lambda: all_of(_read),
        "calamine": lambda: all_of(_read_with_calamine),
    })  # fmt: skip


def writing(connection: psycopg.Connection, folder: Path, rounds: int) -> Times:
    """Seconds from the table to the file; Millrace's side is a job, with all that belongs to it."""
    path = folder / "written.xlsx"
    return _timed("writing", rounds, {
        "openpyxl": lambda: _with_openpyxl(connection, path),
        "Millrace": _export,
        "xlsxwriter": lambda: _with_xlsxwriter(connection, path, constant_memory=True),
    })  # fmt: skip


def _timed(verb: str, rounds: int, sides: dict[str, Callable[[], Any]]) -> Times:
    """Each side in turn, another one first in every round."""
    times: Times = defaultdict(list)
    names = list(sides)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began = time.monotonic()
            took = sides[name]()
            times[name].append(took if isinstance(took, float) else time.monotonic() - began)
            progress(f"XLSX {verb}, {name}", times[name][-1])
    return {name: times[name] for name in names}


def _read(path: Path) -> int:
    count = 0
    with path.open("rb") as file, open_reader(file, path.name, Options()) as reader:
        reader.seek(reader.start)
        while records := reader.batch(BATCH).records:
            count += len(records)
    return count


def _read_with_openpyxl(path: Path) -> int:
    book = openpyxl.load_workbook(path, read_only=True)
    return sum(1 for _ in book.active.iter_rows(values_only=True)) - 1


def _read_with_calamine(path: Path) -> int:
    return len(CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()) - 1


def _export() -> float:
    run = launched.run(job="products.product.export", format="xlsx")
    run.output().unlink()
    return run.seconds


def _with_openpyxl(connection: psycopg.Connection, path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in _rows(connection):
        sheet.append(row)
    book.save(path)


def _with_xlsxwriter(connection: psycopg.Connection, path: Path, **options: bool) -> None:
    options |= {"default_date_format": "yyyy-mm-dd", "strings_to_formulas": False}
    with xlsxwriter.Workbook(path, options) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(_rows(connection)):
            sheet.write_row(number, 0, row)


def _rows(connection: psycopg.Connection) -> Iterator[tuple[Any, ...]]:
    """The header and the products, from a cursor of the server."""
    with connection.transaction(), connection.cursor("products") as cursor:
        cursor.itersize = BATCH
        cursor.execute(raw.PRODUCTS)
        assert cursor.description
        yield tuple(column.name for column in cursor.description)
        yield from cursor
