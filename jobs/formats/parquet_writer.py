"""Parquet files with typed columns, through pyarrow, which the extra `parquet` installs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jobs.definition import JobError
from jobs.formats import written
from jobs.formats.written import (
    AS_TABLE,
    BOOLEAN,
    DATE,
    MOMENT,
    Onward,
    Target,
    WriteOptions,
    WrittenColumn,
)

GROUP_BYTES = 1 << 23  # of CSV in one group of rows: what is in memory at once
MOST_DIGITS = 38
MISSING = (
    "Parquet files need pyarrow, which is not installed here: pip install 'millrace[parquet]'."
)


class ParquetWriter:
    """Groups of rows, compressed with Snappy. An empty text is null.

    A second thread writes a group while the next one is read: pyarrow lets go of Python's lock.
    """

    copies = AS_TABLE

    def __init__(self, target: Target, columns: Sequence[WrittenColumn], _: WriteOptions):
        try:
            import pyarrow as pa  # noqa: PLC0415 (an extra)
            from pyarrow import csv as arrow_csv  # noqa: PLC0415
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError:
            raise JobError(MISSING) from None
        self.csv, self.names = arrow_csv, [column.name for column in columns]
        types = {column.name: _type(pa, column) for column in columns}
        schema = pa.schema(list(types.items()))
        self.convert = arrow_csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            true_values=["1"],
            false_values=["0"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        self.onward = Onward(target)
        self.file = parquet.ParquetWriter(pa.PythonFile(self.onward, mode="w"), schema)
        self.pool = ThreadPoolExecutor(1)
        self.group: Future[None] | None = None  # that is being written
        self.held: list[bytes] = []
        self.size = 0

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        self.write_copied([text.getvalue().encode("utf-8", "replace")])
        self._settle()  # who gives rows takes what has been written of them

    def write_copied(self, lines: Sequence[Any]) -> None:
        for line in lines:  # so that groups end where they end, whatever comes together
            self.held.append(line)
            self.size += len(line)
            if self.size >= GROUP_BYTES:
                self._flush()

    def close(self) -> None:
        self._flush()
        self._settle()
        self.pool.shutdown()
        self.file.close()

    def abandon(self) -> None:
        self.onward.is_abandoned = True
        self.pool.shutdown()
        self.file.close()

    def _flush(self) -> None:
        """Begin to write a group of rows, as soon as the one before it is written."""
        if self.size:
            self._settle()
            self.group = self.pool.submit(self._write_group, self.held)
        self.held, self.size = [], 0

    def _settle(self) -> None:
        """Wait for the group that is being written; raises what it met."""
        group, self.group = self.group, None
        if group:
            group.result()

    def _write_group(self, blocks: list[bytes]) -> None:
        table = self.csv.read_csv(
            io.BytesIO(b"".join(blocks)),
            read_options=self.csv.ReadOptions(
                column_names=self.names, use_threads=False, block_size=2 * GROUP_BYTES
            ),
            parse_options=self.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=self.convert,
        )
        self.file.write_table(table)


def _type(arrow: Any, column: WrittenColumn) -> Any:
    match column.kind:
        case written.NUMBER if column.places is None:
            return arrow.float64()
        case written.NUMBER if column.places == 0 and (column.digits or MOST_DIGITS) <= 18:
            return arrow.int64()
        case written.NUMBER:
            return arrow.decimal128(min(column.digits or MOST_DIGITS, MOST_DIGITS), column.places)
    types = {BOOLEAN: arrow.bool_(), DATE: arrow.date32(), MOMENT: arrow.timestamp("us", "UTC")}
    return types.get(column.kind, arrow.string())
