from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobs.definition import ChunkStep, Counters, Cursor, Job


class ChunkedJob(Job):
    """A job of one step in chunks: say how to read, how to process and how to write.

    `read(cursor)` yields (cursor, item) pairs from behind the cursor, in an order that never
    changes; `write(items)` saves the items of one chunk and may return Counters. Each chunk commits
    together with the position behind it.
    """

    chunk_size = 500
    partitions = 1  # with more, `read` yields the items of `self.partition` only

    def read(self, cursor: Cursor | None) -> Iterator[tuple[Cursor, Any]]:
        raise NotImplementedError

    def process(self, item: Any) -> Any:
        """Return what to write; None leaves it out as unchanged. May raise Skip."""
        return item

    def write(self, items: list[Any]) -> Counters | None:
        raise NotImplementedError

    def count(self) -> int | None:
        """The number of items, or None where it is not known."""
        return None

    def steps(self) -> list[ChunkStep]:
        name = self.name.rpartition(".")[2]
        return [
            ChunkStep(
                name=name,
                label=self.label,
                read=self.read,
                process=self.process,
                write=self.write,
                count=self.count,
                size=self.chunk_size,
                partitions=self.partitions,
            )
        ]
