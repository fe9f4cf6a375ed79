"""Parquet files with typed columns, through pyarrow, which the extra `parquet` installs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
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
    """Groups of rows, compressed with Snappy. An empty text is null."""

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
        self.held: list[bytes] = []
        self.size = 0

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        self.write_copied([text.getvalue().encode("utf-8", "replace")])

    def write_copied(self, lines: Sequence[Any]) -> None:
        block = b"".join(lines)
        self.held.append(block)
        self.size += len(block)
        if self.size >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self.file.close()

    def abandon(self) -> None:
        self.onward.is_abandoned = True
        self.file.close()

    def _flush(self) -> None:
        if self.size:
            table = self.csv.read_csv(
                io.BytesIO(b"".join(self.held)),
                read_options=self.csv.ReadOptions(
                    column_names=self.names, use_threads=False, block_size=2 * GROUP_BYTES
                ),
                parse_options=self.csv.ParseOptions(
                    newlines_in_values=True, ignore_empty_lines=False
                ),
                convert_options=self.convert,
            )
            self.file.write_table(table)
        self.held, self.size = [], 0


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
