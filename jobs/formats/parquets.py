"""Parquet files, read a few rows at a time; needs pyarrow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

from jobs.definition import JobError
from jobs.formats.base import (
    BATCH_LIMIT,
    CELL_LIMIT,
    Batch,
    Position,
    Refusal,
    Takes,
    check_names,
)
from jobs.formats.jsontext import json_text
from jobs.formats.numbers import plain

MISSING = (
    "Parquet files need the package pyarrow, which is not installed here "
    "(pip install 'millrace[parquet]'). Ask for it, or send the file as CSV."
)
GROUP_LIMIT = 1 << 30  # bytes of a row group, which are in memory together
ROWS = 1000  # that are decoded together


class ParquetReader:
    """The rows of a Parquet file. A position counts rows: its offset and line are the row's.

    `json_columns` is as for JSON. Raises JobError for what is no such file and for nested columns.
    """

    format = "parquet"
    keeps_positions = True
    is_guarded = False
    is_sparse = False

    def __init__(self, file: BinaryIO):
        self.takes: Takes | None = None
        self.json_columns: Collection[str] = ()
        self._file = _opened(file)
        self._groups = self._group_starts()
        self.size: int | None = self._groups[-1]
        schema = self._file.schema_arrow
        check_names(header := list(schema.names))
        if not header:
            raise JobError("The Parquet file has no columns.")
        for field in schema:
            _check_type(field)
        self.header = header
        self.start = Position(0, 0, 1)
        self.seek(self.start)

    def said(self) -> str:
        """How the file is read, for people."""
        return "Parquet"

    def seek(self, position: Position) -> None:
        """Go on reading at the start of a record."""
        self._next = position
        self._rows = self._read_from(position.row)

    def batch(self, size: int) -> Batch:
        """Read about `size` records; a batch without records and fault is the end of the file."""
        batch, characters = Batch(), 0
        try:
            while len(batch.rows) < size and (cells := next(self._rows, None)):
                self._next = _position(row := self._next.row + 1)
                if self.takes is None or self.takes(row, cells):
                    _add(batch, row, cells)
                    characters += sum(map(len, cells))
                if characters >= BATCH_LIMIT:
                    break
        except (OSError, ValueError, MemoryError) as error:
            batch.fault = _damaged(error, self._next.row)
        batch.end = self._next
        return batch

    def sample(self, count: int) -> list[list[str]]:  # noqa: ARG002 (as of every reader)
        """None: a record is found by those before it."""
        return []

    def read_at(self, positions: list[Position]) -> Batch:
        """Read the single records that start at these positions, in the order given."""
        batch = Batch()
        for position in positions:
            self.seek(position)
            if cells := next(self._rows, None):
                _add(batch, position.row + 1, cells)
        return batch

    def _read_from(self, row: int) -> Iterator[list[str]]:
        for group, start in enumerate(self._groups[:-1]):
            if self._groups[group + 1] <= row:
                continue
            batches = self._file.iter_batches(ROWS, row_groups=[group], use_threads=False)
            rows = (cells for batch in batches for cells in self._cells(batch))
            yield from islice(rows, max(0, row - start), None)

    def _cells(self, batch: Any) -> Iterator[list[str]]:
        columns = []
        for name, column in zip(self.header, batch.columns, strict=True):
            as_json = name in self.json_columns
            columns.append([_text(value, as_json) for value in _values(column)])
        return map(list, zip(*columns, strict=True))

    def _group_starts(self) -> list[int]:
        """The number of rows before each row group, and at last that of all."""
        starts, metadata = [0], self._file.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if group.total_byte_size > GROUP_LIMIT:
                raise JobError(
                    f"A row group of the Parquet file has {group.total_byte_size:,} bytes; at most "
                    f"{GROUP_LIMIT:,} are read. Write it with smaller row groups."
                )
            starts.append(starts[-1] + max(0, group.num_rows))
        return starts


def _opened(file: BinaryIO) -> Any:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - it is large, and an extra
    except ImportError:
        raise JobError(MISSING) from None
    file.seek(0)
    try:
        return parquet.ParquetFile(file, pre_buffer=False)
    except (OSError, ValueError, MemoryError) as error:
        raise _damaged(error, 0) from None


def _check_type(field: Any) -> None:
    from pyarrow import types  # noqa: PLC0415

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    if not (
        types.is_primitive(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    ) or types.is_duration(kind):
        raise JobError(
            f"The column {field.name!r} has the type {field.type}, which is not read. Columns must "
            "be texts, numbers, truth values, dates, times, or lists of these."
        )


def _values(column: Any) -> list[Any]:
    from pyarrow import timestamp, types  # noqa: PLC0415

    if types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(timestamp("us", column.type.tz), safe=False)
    return column.to_pylist()


def _text(value: Any, as_json: bool) -> str:
    if isinstance(value, list) and not as_json:
        return ",".join(_text(each, as_json) for each in value)
    return TEXTS.get(type(value), str)(value)


TEXTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda value: "1" if value else "0",
    float: lambda value: plain(repr(value)).removesuffix(".0"),
    Decimal: lambda value: format(value, "f"),
    dt.datetime: lambda value: value.isoformat().removesuffix("T00:00:00"),
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    list: json_text,
}


def _add(batch: Batch, row: int, cells: list[str]) -> None:
    if max(map(len, cells)) > CELL_LIMIT:
        said = "A value has more than a million characters."
        batch.refusals.append(Refusal(len(batch.rows), "too_long", said))
    batch.suspect |= any("\0" in cell for cell in cells)
    batch.records.append(cells)
    batch.rows.append(row)
    batch.lines.append(row)
    batch.offsets.append(row - 1)


def _position(row: int) -> Position:
    return Position(row, row, row + 1)


def _damaged(error: Exception, row: int) -> JobError:
    return JobError(f"The Parquet file cannot be read behind row {row}: {error}.")
