"""CSV files, as people's spreadsheets and our own import read them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from jobs.formats.written import (
    AS_CSV,
    Target,
    WriteOptions,
    WrittenColumn,
    encoded,
    encoding_mark,
)

# Spreadsheets take these texts for formulas; an apostrophe before them says that they are none.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?", re.ASCII)


class CsvWriter:
    """Quoted where needed, with LF at line ends."""

    copies = AS_CSV

    def __init__(self, target: Target, columns: Sequence[WrittenColumn], options: WriteOptions):
        self.target, self.options = target, options
        target.write(encoding_mark(options.encoding))
        if options.header:
            self._write([[_guarded(column.name) for column in columns]])

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        if self.options.guard:
            rows = ([_guarded(cell) for cell in row] for row in rows)
        self._write(rows)

    def write_copied(self, lines: Sequence[Any]) -> None:
        self.target.write(b"".join(lines))

    def close(self) -> None:
        """Nothing stands behind the last row."""

    def abandon(self) -> None:
        """Nothing is held."""

    def _write(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        if not self.options.quote:
            rows = ([self._unquotable(cell) for cell in row] for row in rows)
        csv.writer(
            text,
            delimiter=self.options.delimiter,
            quotechar=self.options.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.options.quote else csv.QUOTE_NONE,
            lineterminator="\n",
        ).writerows(rows)
        self.target.write(encoded(text.getvalue(), self.options.encoding))

    def _unquotable(self, cell: str) -> str:
        """The text without what would have to be quoted, which only sentences of ours have."""
        return " ".join(cell.replace(self.options.delimiter, " ").splitlines())


def unguarded(cell: str) -> str:
    """The text without the apostrophe that a guard has put before it."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _guarded(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell
