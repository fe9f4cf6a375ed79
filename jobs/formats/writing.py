"""One way to every file of rows that is written: which formats there are, and their writers."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, cast

from jobs.formats.csv_writer import CsvWriter
from jobs.formats.json_writers import JsonArrayWriter, JsonLinesWriter
from jobs.formats.parquet_writer import ParquetWriter
from jobs.formats.written import Target, WriteOptions, Writer, WrittenColumn
from jobs.formats.xlsx_writer import XlsxWriter

WRITERS: dict[str, Any] = {
    "csv": CsvWriter,
    "xlsx": XlsxWriter,
    "jsonl": JsonLinesWriter,
    "json": JsonArrayWriter,
    "parquet": ParquetWriter,
}
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/jsonl",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
PACK_LEVEL = 1


@contextmanager
def open_writer(
    kind: str,
    target: Target,
    columns: Sequence[WrittenColumn],
    options: WriteOptions | None = None,
) -> Iterator[Writer]:
    """The writer of a format, closed at the end; raises JobError where the columns do not fit."""
    writer: Writer = WRITERS[kind](target, columns, options or WriteOptions())
    try:
        yield writer
    except BaseException:
        writer.abandon()
        raise
    writer.close()


def streamed(
    kind: str,
    columns: Sequence[WrittenColumn],
    batches: Iterable[Sequence[Sequence[str]]],
    options: WriteOptions | None = None,
) -> Iterator[bytes]:
    """The bytes of a file with these rows, as they come: nothing of it is kept."""
    target = Passing()
    with open_writer(kind, target, columns, options) as writer:
        for batch in batches:
            writer.write(batch)
            yield target.take()
    yield target.take()


class Passing:
    """A file that gives away what has been written to it."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def write(self, block: Any) -> int:
        self.blocks.append(bytes(block))
        return len(block)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken, self.blocks = b"".join(self.blocks), []
        return taken


@contextmanager
def zipped(target: Target) -> Iterator[zipfile.ZipFile]:
    """An archive, each of whose files is written to the end before the next."""
    with zipfile.ZipFile(
        cast("IO[bytes]", target), "w", zipfile.ZIP_DEFLATED, compresslevel=PACK_LEVEL
    ) as archive:
        yield archive


def member(archive: zipfile.ZipFile, name: str) -> AbstractContextManager[IO[bytes]]:
    """A file within an archive, of any size."""
    return archive.open(name, "w", force_zip64=True)


def gzipped(target: Target) -> AbstractContextManager[Any]:
    """One packed file, the same bytes for the same rows."""
    return gzip.GzipFile(
        filename="", mode="wb", compresslevel=PACK_LEVEL, fileobj=cast("IO[bytes]", target), mtime=0
    )
