"""One way into every file of rows: unpack it, find out what it is, open its reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from jobs.formats.base import Options, Reader
from jobs.formats.csvs import CsvReader

FORMAT_CHOICES = [
    ("", "Found from the file"),
    ("csv", "CSV"),
]
DELIMITER_CHOICES = [
    ("", "Found from the header"),
    (";", "Semicolon ;"),
    (",", "Comma ,"),
    ("tab", "Tab"),
    ("|", "Vertical bar |"),
]
ENCODING_CHOICES = [("utf-8", "UTF-8"), ("cp1252", "Windows-1252"), ("latin-1", "ISO 8859-1")]


@contextmanager
def open_reader(file: BinaryIO, name: str, options: Options) -> Iterator[Reader]:
    """The reader of an uploaded file; `name` is only a hint at what the file is.

    Raises JobError for a file that cannot be read, in words for the person who sent it.
    """
    delimiter = "\t" if options.delimiter == "tab" else options.delimiter
    yield CsvReader(file, delimiter, options.encoding or "utf-8")
