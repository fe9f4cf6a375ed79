"""One way into every file of rows: unpack it, find out what it is, open its reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from jobs.definition import JobError
from jobs.formats.base import ENCODING_WORDS, Options, Reader
from jobs.formats.csvs import CsvReader
from jobs.formats.detection import (
    encoding_of,
    format_of,
    head_of,
    packing_of,
    quote_of,
    wide_encoding,
)
from jobs.formats.jsons import JsonArrayReader, JsonLinesReader
from jobs.formats.packed import (
    data_entry,
    open_archive,
    open_entry,
    site_limit,
    spooled,
    ungzipped,
    unpacked_limit,
)
from jobs.formats.parquets import ParquetReader
from jobs.formats.sheets import SheetReader
from jobs.formats.transcoding import Utf16AsUtf8
from jobs.formats.workbooks import is_workbook

FORMAT_WORDS = {
    "csv": "CSV",
    "xlsx": "XLSX (Excel)",
    "jsonl": "JSON lines",
    "json": "JSON array",
    "parquet": "Parquet",
}
FORMAT_CHOICES = [("", "Found from the file"), *FORMAT_WORDS.items()]
DELIMITER_CHOICES = [
    ("", "Found from the header"),
    (";", "Semicolon ;"),
    (",", "Comma ,"),
    ("tab", "Tab"),
    ("|", "Vertical bar |"),
]
QUOTE_CHOICES = [
    ("", "Found from the header"),
    ('"', 'Double "'),
    ("'", "Single '"),
    ("none", "None"),
]
HEADER_CHOICES = [
    ("", "The first line names the columns"),
    ("none", "There is none: the columns are A, B, C, …"),
]
ENCODING_CHOICES = [("", "Found from the file"), *ENCODING_WORDS.items()]
BINARY = ("xlsx", "parquet")


@dataclass
class _Content:
    """A file that may have been unpacked, what its name hints at, its size where it is known."""

    file: BinaryIO
    name: str
    size: int | None
    is_packed: bool = False
    format: str = ""


@contextmanager
def open_reader(
    file: BinaryIO, name: str, options: Options, sample: int | None = None
) -> Iterator[Reader]:
    """The reader of an uploaded file; `name` is only a hint at what the file is.

    With a `sample` the columns of JSON are looked for in so many records, not in all. Raises
    JobError for a file that cannot be read, in words for the person who sent it.
    """
    with ExitStack() as stack:
        content = _unpacked(_Content(file, name, file.seek(0, 2)), stack)
        _check_choice(content.format, options.format)
        match options.format or content.format:
            case "xlsx":
                sheets = SheetReader(content.file, options.sheet, options.header)
                stack.callback(sheets.close)
                yield sheets
            case "parquet":
                yield ParquetReader(content.file)
            case chosen:
                yield _text_reader(chosen, content, options, sample, stack)


def _text_reader(
    chosen: str, content: _Content, options: Options, sample: int | None, stack: ExitStack
) -> Reader:
    file, encoding = content.file, options.encoding
    if wide := wide_encoding(head_of(file), encoding):
        file = stack.enter_context(spooled(Utf16AsUtf8(file, wide), site_limit()))
        content.size, encoding = None, "utf-8"
    reader: Any
    if chosen == "csv":
        encoding = encoding or encoding_of(file, None if content.is_packed else content.size)
        quote = {"none": ""}.get(options.quote, options.quote or quote_of(head_of(file), encoding))
        delimiter = "\t" if options.delimiter == "tab" else options.delimiter
        reader = CsvReader(file, delimiter, encoding, quote, options.header)
        reader.said_encoding = "utf-16" if wide else encoding
    else:
        reader = {"jsonl": JsonLinesReader, "json": JsonArrayReader}[chosen](file, sample)
    reader.size = content.size
    return reader


def _unpacked(content: _Content, stack: ExitStack) -> _Content:
    """The data file itself, taken out of at most one packing, with its format."""
    if packing_of(head_of(content.file)) and not _is_workbook(content.file):
        content = _taken_out(content, stack)
    head = head_of(content.file)
    if not packing_of(head):
        content.format = format_of(head, content.name)
    elif _is_workbook(content.file):
        content.format = "xlsx"
    else:
        raise JobError("The packed file holds another packed file. Send it packed once.")
    return content


def _taken_out(content: _Content, stack: ExitStack) -> _Content:
    size = content.size or 0
    if packing_of(head_of(content.file)) == "gzip":
        name = content.name.removesuffix(".gz")
        return _Content(stack.enter_context(ungzipped(content.file, size)), name, None, True)
    archive = stack.enter_context(open_archive(content.file))
    entry = data_entry(archive)
    file = spooled(open_entry(archive, entry), unpacked_limit(size))
    return _Content(stack.enter_context(file), entry.filename, entry.file_size, True)


def _is_workbook(file: BinaryIO) -> bool:
    if packing_of(head_of(file)) != "zip":
        return False
    with open_archive(file) as archive:
        return is_workbook(archive)


def _check_choice(found: str, chosen: str) -> None:
    """A text can be read in more than one way, but a text is no workbook, nor the reverse."""
    if chosen and found != chosen and {found, chosen} & set(BINARY):
        raise JobError(
            f"The file is {FORMAT_WORDS[found]}, but {FORMAT_WORDS[chosen]} was chosen. Choose "
            "another format, or let it be found from the file."
        )
