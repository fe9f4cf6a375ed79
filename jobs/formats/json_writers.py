"""JSON: one object a line, or one array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from jobs.formats.base import ABSENT
from jobs.formats.written import AS_JSON, Target, WriteOptions, WrittenColumn


class JsonLinesWriter:
    """An object for each row, each on a line of its own."""

    copies = AS_JSON

    def __init__(self, target: Target, columns: Sequence[WrittenColumn], _: WriteOptions):
        self.target = target
        self.names = [column.name for column in columns]

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        self.write_copied([self._line(row) for row in rows])

    def write_copied(self, lines: Sequence[Any]) -> None:
        self.target.write(b"".join(lines))

    def close(self) -> None:
        """Nothing stands behind the last row."""

    def abandon(self) -> None:
        """Nothing is held."""

    def _line(self, row: Sequence[str]) -> bytes:
        cells = zip(self.names, row, strict=False)
        named = {name: cell for name, cell in cells if cell is not ABSENT}
        return json.dumps(named, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class JsonArrayWriter(JsonLinesWriter):
    """The same objects as the members of one array."""

    def __init__(self, target: Target, columns: Sequence[WrittenColumn], options: WriteOptions):
        super().__init__(target, columns, options)
        self.behind = b"[\n"

    def write_copied(self, lines: Sequence[Any]) -> None:
        if lines:
            # Every line ends in a line feed, so that only the commas are missing.
            self.target.write(self.behind + b",".join(lines))
            self.behind = b","

    def close(self) -> None:
        self.target.write(b"\n]\n" if self.behind == b"," else b"[]\n")
