"""COPY's text format: how a value is written there, so that a chunk goes over as one text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import PyFormat, Transformer

# Told from the same two letters in a cell by its identity.
NULL = "\\N"
SPECIAL = ("\\", "\t", "\n", "\r")
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escaped(texts: Sequence[str]) -> Sequence[str]:
    """A column of texts with what COPY would read otherwise escaped; NULL stays."""
    joined = "".join(texts)
    if not any(letter in joined for letter in SPECIAL):
        return texts
    return [text if text is NULL else text.translate(ESCAPES) for text in texts]


def copy_text(value: Any) -> str:
    """The text of one value, not yet escaped. Raises ValueError for what no column can hold."""
    match value:
        case None:
            return NULL
        case str():
            return value
        case bool():
            return "t" if value else "f"
        case int() | float() | Decimal() | UUID():
            return str(value)
        case dt.datetime():
            return value.isoformat() if value.tzinfo is None else _in_utc(value)
        case dt.date() | dt.time():
            return value.isoformat()
    dumped = Transformer().get_dumper(value, PyFormat.TEXT).dump(value)
    if dumped is None:
        return NULL
    return bytes(dumped).decode()


def _in_utc(value: dt.datetime) -> str:
    """PostgreSQL knows offsets up to 15:59 only; Python's go further."""
    try:
        return value.astimezone(dt.UTC).isoformat()
    except OverflowError:
        raise ValueError(f"{value.isoformat()} is out of range") from None


def copy_rows(cursor: psycopg.Cursor, statement: str, rows: Sequence[Any]) -> None:
    """COPY these rows, lines of text or tuples of values, each behind its number from 0."""
    with cursor.copy(statement) as copy:
        if rows and isinstance(rows[0], str):
            lines = "\n".join([f"{number}\t{line}" for number, line in enumerate(rows)])
            copy.write(f"{lines}\n".encode())
            return
        write_row = copy.write_row
        for number, row in enumerate(rows):
            write_row((number, *row))
