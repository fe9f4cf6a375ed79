"""What a file is, found from its first bytes and from samples of its content."""

from __future__ import annotations

import re
from typing import BinaryIO

from jobs.definition import JobError

HEAD = 1 << 16  # bytes
SAMPLE = 1 << 18
SAMPLES = 16
SENSE = 20  # broken characters for each good one: other encodings look like UTF-8 by accident
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
STRANGERS = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh91AY&SY": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"(\xb5/\xfd": "packed with zstd",
    b"<!DOCTYPE html": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
}
ENDINGS = {"jsonl": "jsonl", "ndjson": "jsonl", "json": "json"}
JSON = {
    "json": re.compile(r"\[\s*[{\]]").match,
    "jsonl": re.compile(r"\{\s*[\"}]").match,
}


def head_of(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEAD)


def packing_of(head: bytes) -> str:
    """How a file is packed: `gzip`, `zip` (as workbooks are) or not at all."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zip" if head.startswith((b"PK\3\4", b"PK\5\6")) else ""


def format_of(head: bytes, name: str) -> str:
    """The format of a file that is not packed. Raises JobError for what is no file of rows."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(OLD_OFFICE):
        raise JobError(_old_office(head))
    for first, what in STRANGERS.items():
        if head[: len(first)].lower() == first.lower():
            raise JobError(
                f"The file is {what}, which cannot be imported. Send CSV, XLSX, JSON or Parquet."
            )
    start = _first_text(head)
    if found := next((kind for kind, begins in JSON.items() if begins(start)), None):
        return found
    ending = name.rpartition(".")[2].lower()
    if ending == "parquet":
        raise JobError("The name of the file ends in .parquet, but its content is something else.")
    return ENDINGS.get(ending, "csv")


def wide_encoding(head: bytes, chosen: str) -> str:
    """The kind of UTF-16 that a text is in, by its mark or its NULs; empty for other texts."""
    if head[:2] in UTF16_MARKS and not head.startswith(b"\xff\xfe\0\0"):
        return UTF16_MARKS[head[:2]]
    evens, odds = head[::2].count(0), head[1::2].count(0)
    if chosen == "utf-16" or min(evens, odds) * 10 < max(evens, odds) > len(head) // 5:
        return "utf-16-le" if odds >= evens else "utf-16-be"
    return ""


def encoding_of(file: BinaryIO, size: int | None) -> str:
    """UTF-8, or Windows-1252 where samples of the file hardly ever make sense as UTF-8.

    Without a size they are from the beginning, for a packed file is not unpacked for this alone.
    """
    good = bad = 0
    step = SAMPLE if size is None else max(SAMPLE, size // SAMPLES)
    for number in range(SAMPLES):
        file.seek(step * number)
        sample = file.read(SAMPLE)
        if number or len(sample) == SAMPLE:  # whole lines only, for a character may be cut in two
            sample = sample[sample.find(b"\n") + 1 : sample.rfind(b"\n") + 1]
        if not sample.isascii():
            text = sample.decode("utf-8", "surrogateescape")
            broken = len(re.findall("[\udc80-\udcff]", text))
            bad += broken
            good += len(re.findall("[^\0-\x7f]", text)) - broken
    return "cp1252" if bad > SENSE * good else "utf-8"


def quote_of(head: bytes, encoding: str) -> str:
    """The quotation mark, found from the first line."""
    first = head.split(b"\n", 1)[0].decode(encoding, "replace").strip("\ufeff \r")
    return "'" if re.fullmatch(r"'[^']*'([;,\t|]'[^']*')*", first) else '"'


def _first_text(head: bytes) -> str:
    encoding = wide_encoding(head, "") or "utf-8"
    return head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")[:200]


def _old_office(head: bytes) -> str:
    if ENCRYPTED_PACKAGE in head:
        return "The workbook is encrypted. Save it without a password and send it again."
    return "The file is in the old format of Excel (XLS) or of Office. Save it as XLSX."
