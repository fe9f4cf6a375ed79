"""Which rows of a file an import takes: all, its part of them, those that failed before."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Sequence
from zlib import crc32

from jobs.definition import Partition

SAMPLE = 1_000  # records
LEAST = 20  # different keys a part; with fewer the parts would hardly be equal


class Taken:
    """Of the rows with these numbers (None: of all) those whose key falls into the part.

    A key always falls into the same part, so that two parts never write the same row. Parts are
    ranges of keys where a `sample` of the file's records says which would be equal: rows that lie
    beside each other are then written by one part, and it waits for no other.
    """

    def __init__(
        self,
        numbers: Collection[int] | None,
        part: Partition | None,
        key_indexes: Sequence[int],
        sample: Sequence[list[str]] = (),
    ):
        self.numbers = numbers
        self.part = part
        self.key_indexes = key_indexes
        self.bounds = _bounds(sorted(set(self._keys(sample))), part.of) if part else []
        self.last = max(key_indexes) if part else -1

    def __call__(self, row: int, cells: list[str]) -> bool:
        return self.among([row], [cells])[0]

    def among(self, rows: Sequence[int], records: Sequence[list[str]]) -> list[bool]:
        """Of each of these rows whether it is taken; cells behind the index `last` may be cut."""
        numbers, part = self.numbers, self.part
        taken = [True] * len(rows) if numbers is None else [row in numbers for row in rows]
        if part is None:
            return taken
        keys, bounds = self._keys(records), self.bounds
        parts = (
            [bisect(bounds, key) for key in keys]
            if bounds
            else [crc32(key) % part.of for key in keys]
        )
        return [is_one and of == part.number for is_one, of in zip(taken, parts, strict=True)]

    def _keys(self, records: Sequence[list[str]]) -> list[bytes]:
        """The keys, as they are compared; what a short row lacks of its own is empty.

        An apostrophe may guard a key that looks like a formula, or not.
        """
        columns = [
            [cells[at] if at < len(cells) else "" for cells in records] for at in self.key_indexes
        ]
        return [
            "\0".join([cell.strip().lstrip("'") for cell in key]).lower().encode("utf-8", "replace")
            for key in zip(*columns, strict=True)
        ]


def _bounds(keys: Sequence[bytes], parts: int) -> list[bytes]:
    """The first keys of all parts but the first; none where there are too few to tell."""
    if len(keys) < LEAST * parts:
        return []
    return [keys[len(keys) * part // parts] for part in range(1, parts)]
