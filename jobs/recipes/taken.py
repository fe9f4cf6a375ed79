"""Which rows of a file an import takes: all, its part of them, those that failed before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from zlib import crc32

from jobs.definition import Partition


class Taken:
    """Of the rows with these numbers (None: of all) those whose key falls into the part.

    A key always falls into the same part, so that two parts never write the same row.
    """

    def __init__(
        self,
        numbers: Collection[int] | None,
        part: Partition | None,
        key_indexes: Sequence[int],
    ):
        self.numbers = numbers
        self.part = part
        self.key_indexes = key_indexes
        self.last = max(key_indexes) if part else -1

    def __call__(self, row: int, cells: list[str]) -> bool:
        return self.among([row], [cells])[0]

    def among(self, rows: Sequence[int], records: Sequence[list[str]]) -> list[bool]:
        """Of each of these rows whether it is taken; cells behind the index `last` may be cut."""
        numbers, part = self.numbers, self.part
        taken = [True] * len(rows) if numbers is None else [row in numbers for row in rows]
        if part is None:
            return taken
        parts = [crc32(key) % part.of for key in self._keys(records)]
        return [is_one and of == part.number for is_one, of in zip(taken, parts, strict=True)]

    def _keys(self, records: Sequence[list[str]]) -> list[bytes]:
        """The keys, as they are compared; what a short row lacks of its own is empty."""
        columns = [
            [cells[at] if at < len(cells) else "" for cells in records] for at in self.key_indexes
        ]
        return [
            "\0".join(map(str.strip, key)).lower().encode("utf-8", "replace")
            for key in zip(*columns, strict=True)
        ]
