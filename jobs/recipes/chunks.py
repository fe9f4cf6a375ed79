"""Chunks of an import, made of a batch of its file."""

from __future__ import annotations

from typing import Any

from jobs.definition import ItemWarning, StagedChunk
from jobs.formats.base import Batch
from jobs.recipes.faults import Parsed


def staged_chunk(batch: Batch, parsed: Parsed, **cursor: Any) -> StagedChunk:
    """The chunk of a batch, whose cursor is the position behind it and what else is given."""
    return StagedChunk(
        rows=parsed.rows,
        row_numbers=[batch.rows[index] for index in parsed.indexes],
        keys=parsed.keys,
        cursor=batch.end._asdict() | cursor,
        position=batch.end.offset,
        counters=parsed.counters,
        warnings=parsed.warnings,
        records=[batch.records[index] for index in parsed.indexes],
        rejected=parsed.rejected,
    )


def nothing_but_a_header(batch: Batch) -> StagedChunk:
    """A chunk without rows that says so: an empty export of another system is no failure."""
    said = "The file has a header and no rows."
    warning = ItemWarning(code="no_rows", message=said, outcome="kept")
    return StagedChunk(
        rows=[],
        row_numbers=[],
        keys=[],
        cursor=batch.end._asdict(),
        position=batch.end.offset,
        warnings=[warning],
    )
