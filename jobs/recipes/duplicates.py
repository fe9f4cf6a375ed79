"""Keys that a file names in more than one chunk: the last row wins, and the others are reported.

While rows are loaded, eight bytes of each are kept: a hash of its key. Only where hashes meet is
the file read a second time, at its end, for the rows and keys themselves.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

from jobs.definition import Cursor, ItemWarning, StagedChunk
from jobs.formats.base import Batch, Reader
from jobs.recipes.faults import shown
from jobs.recipes.rows import RowParser

LISTED = 1_000  # rows that get a warning of their own; the others are counted
KEYS = 10_000  # that are looked at
BUCKETS = 256
AT_ONCE = 4_000  # rows of the second reading, or hashes
TOLD = "duplicates_told"

Rows = Callable[[Collection[int]], set[int]]


class Duplicates:
    """Watches the chunks of one import. `left_out` says which of some rows were not written."""

    def __init__(self, reader: Reader, parser: RowParser, cursor: Cursor | None, left_out: Rows):
        self.reader = reader
        self.parser = parser
        self.cursor = cursor  # where this attempt begins
        self.left_out = left_out
        self.hashes = array("q")
        self.rows: dict[tuple[str, ...], array[int]] = {}

    def watch(self, chunks: Iterator[StagedChunk]) -> Iterator[StagedChunk]:
        """The chunks, and behind the last of them what is to be said."""
        cursor: Any = self.cursor
        position = 0
        for chunk in chunks:
            cursor, position = chunk.cursor, chunk.position
            # Rows of one chunk that have the same key are told apart by the database.
            self.hashes.extend(set(map(hash, map(str.lower, chunk.keys))))
            yield chunk
        for _ in self._earlier():
            yield _chunk(cursor, position)
        if doubles := self._doubles():
            yield _chunk(cursor, position)  # when this is committed, so are all rows
            self._find(set(doubles[:KEYS]))
            told = self._warnings(len(doubles))
            yield _chunk({**cursor, TOLD: True}, position, told)

    def _earlier(self) -> Iterator[Batch]:
        """Read the rows again that an earlier attempt has loaded, and keep their hashes."""
        if self.cursor is None:
            return
        for batch in self._batches():
            known = [
                "/".join(key).lower()
                for row, key in self.parser.keys_of(batch)
                if row <= self.cursor["row"]
            ]
            self.hashes.extend(map(hash, known))
            if batch.end.row >= self.cursor["row"]:
                return
            yield batch

    def _doubles(self) -> list[int]:
        """The hashes that came more than once, looked for in parts, so that few are in memory."""
        buckets = [array("q") for _ in range(BUCKETS)]
        while self.hashes:
            for value in self.hashes[-AT_ONCE:]:
                buckets[value & (BUCKETS - 1)].append(value)
            del self.hashes[-AT_ONCE:]
        doubles = []
        for bucket in buckets:
            if len(set(bucket)) < len(bucket):
                doubles += [value for value, times in Counter(bucket).items() if times > 1]
        return doubles

    def _find(self, doubles: set[int]) -> None:
        """Read the file again for the rows of these hashes."""
        folds = self.parser.folds
        for batch in self._batches():
            for row, key in self.parser.keys_of(batch):
                if hash("/".join(key).lower()) in doubles:
                    same = tuple(
                        cell.lower() if fold else cell
                        for cell, fold in zip(key, folds, strict=True)
                    )
                    self.rows.setdefault(same, array("q")).append(row)

    def _batches(self) -> Iterator[Batch]:
        self.reader.seek(self.reader.start)
        while (batch := self.reader.batch(AT_ONCE)).records:
            yield batch

    def _warnings(self, keys: int) -> list[ItemWarning]:
        """A warning for each row that a later one has overwritten."""
        left_out = self.left_out([row for rows in self.rows.values() for row in rows])
        found = []
        for key, rows in self.rows.items():
            *earlier, last = [row for row in rows if row not in left_out] or [0]
            found += [(row, last, key) for row in earlier]
        found.sort()
        told = [
            _warning(f"Row {last:,} has the same key and came later.", row, "/".join(key))
            for row, last, key in found[:LISTED]
        ]
        if len(found) > LISTED or keys > KEYS:
            more = "at least " if keys > KEYS else ""
            told.append(
                _warning(f"Of {more}{len(found):,} overwritten rows {LISTED:,} are listed.")
            )
        return told


def _warning(message: str, row: int | None = None, key: str = "") -> ItemWarning:
    return ItemWarning(code="overwritten", message=message, row=row, key=shown(key), outcome="kept")


def _chunk(cursor: Any, position: int, told: list[ItemWarning] | None = None) -> StagedChunk:
    """A chunk without rows."""
    return StagedChunk(
        rows=[], row_numbers=[], keys=[], cursor=cursor, position=position, warnings=told or []
    )
