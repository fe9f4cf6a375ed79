"""Rows that refer to rows of the same model: children wait until their parents are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from jobs.definition import Cursor, ItemWarning, Pace, StagedChunk
from jobs.formats.base import Batch, Position, Reader
from jobs.formats.csvs import CsvReader
from jobs.recipes.faults import Parsed, shown
from jobs.recipes.references import Reference
from jobs.recipes.rows import RowParser
from jobs.recipes.staging import Kind, StagedField

WAITING_LIMIT = 20_000  # rows


@dataclass(slots=True)
class Waiting:
    """A row of the file whose parent has not been seen: where it starts and what it names."""

    position: Position
    key: str
    parent: str

    def warning(self, code: str, message: str, column: str) -> ItemWarning:
        return ItemWarning(
            code=code,
            message=message,
            row=self.position.row + 1,
            key=shown(self.key),
            column=column,
            value=shown(self.parent) if column else "",
        )


class Tree:
    """The chunks of a file whose rows name parents in the same file, in any order.

    A row whose parent is neither in the database nor among the rows before it waits until the end
    of the file. The cursor holds the positions of the rows that wait.
    """

    def __init__(self, reader: Reader, parser: RowParser, staged: list[StagedField]):
        self.reader = reader
        if isinstance(reader, CsvReader):
            reader.keeps_positions = True
        self.parser = parser
        self.column = next(i for i, of in enumerate(staged) if of.kind is Kind.PARENT)
        self.name = staged[self.column].field.name
        self.reference = Reference(parser.resource.model, staged[0].field.name)
        self.accepted: set[str] = set()  # folded keys of the rows in chunks so far
        self.waiting: dict[str, Waiting] = {}  # by folded key, in the order of the file

    def chunks(self, cursor: Cursor | None, pace: Pace) -> Iterator[StagedChunk]:
        start = self.reader.start
        if cursor:
            self._wait_again([Position(*each) for each in cursor["waiting"]])
            start = Position(cursor["offset"], cursor["row"], cursor["line"])
        self.reader.seek(start)
        while True:
            batch = self.reader.batch(pace.size)
            if batch.records:
                yield self._chunk(batch, self._admitted(batch), batch.end)
            if batch.fault:
                raise batch.fault
            if not batch.records:
                break
        yield from self._waiting_chunks(batch.end, pace)

    def _wait_again(self, positions: list[Position]) -> None:
        batch = self.reader.read_at(positions)
        parsed = self.parser.parse(batch)
        folded = self._fold(parsed)
        for row, index in zip(parsed.rows, parsed.indexes, strict=True):
            key = folded[row[0]][0]
            self.waiting[key] = Waiting(batch.position(index), row[0], row[self.column])

    def _admitted(self, batch: Batch) -> Parsed:
        """The rows of a batch whose parents are known; the others wait, or are refused."""
        parsed = self.parser.parse(batch)
        folded = self._fold(parsed)
        admitted = []
        for place, row in enumerate(parsed.rows):
            key, parent = folded[row[0]][0], row[self.column] or None  # ABSENT names none either
            here = Waiting(batch.position(parsed.indexes[place]), row[0], parent or "")
            if earlier := self.waiting.pop(key, None):
                self._supersede(parsed, earlier, here)
            if parent is None or self._is_known(*folded[parent]):
                self.accepted.add(key)
                admitted.append(place)
            elif len(self.waiting) < WAITING_LIMIT:
                self.waiting[key] = here
            else:
                self._refuse(parsed, here, "Too many rows wait: parents must come before children.")
        return replace(
            parsed,
            rows=[parsed.rows[place] for place in admitted],
            indexes=[parsed.indexes[place] for place in admitted],
            keys=[parsed.keys[place] for place in admitted],
        )

    def _waiting_chunks(self, end: Position, pace: Pace) -> Iterator[StagedChunk]:
        """The rows that wait, parents first, once all others are in; the rest is refused."""
        ordered = self._in_order()
        while ordered:
            now, ordered = ordered[: pace.size], ordered[pace.size :]
            rows = [self.waiting.pop(key) for key in now]
            batch = self.reader.read_at([row.position for row in rows])
            yield self._chunk(batch, self.parser.parse(batch), end)
        if not self.waiting:
            return
        nothing = self.parser.parse(Batch())
        for row in self.waiting.values():
            self._refuse(nothing, row, str(self.reference.unknown([row.parent]).message))
        self.waiting.clear()
        yield self._chunk(Batch(), nothing, end)

    def _in_order(self) -> list[str]:
        """The folded keys of the waiting rows that have a known ancestor, ancestors first."""
        folded = self.reference.fold({row.parent for row in self.waiting.values()})
        children: dict[str, list[str]] = {}
        ordered = []
        for key, row in self.waiting.items():
            parent, exists = folded[row.parent]
            if self._is_known(parent, exists):
                ordered.append(key)
            else:
                children.setdefault(parent, []).append(key)
        for key in ordered:  # grows while it is walked
            ordered += children.pop(key, ())
        return ordered

    def _chunk(self, batch: Batch, parsed: Parsed, end: Position) -> StagedChunk:
        waiting = [list(row.position) for row in self.waiting.values()]
        return StagedChunk(
            rows=parsed.rows,
            row_numbers=[batch.rows[index] for index in parsed.indexes],
            keys=parsed.keys,
            cursor=end._asdict() | {"waiting": waiting},
            position=end.offset,
            counters=parsed.counters,
            warnings=parsed.warnings,
            records=[batch.records[index] for index in parsed.indexes],
            rejected=parsed.rejected,
        )

    def _fold(self, parsed: Parsed) -> dict[Any, tuple[str, bool]]:
        texts = {row[0] for row in parsed.rows} | {row[self.column] for row in parsed.rows}
        return self.reference.fold(filter(None, texts))

    def _is_known(self, folded: str, exists: bool) -> bool:
        return exists or folded in self.accepted

    def _supersede(self, parsed: Parsed, earlier: Waiting, later: Waiting) -> None:
        message = f"Row {later.position.row + 1} has the same key and came later."
        parsed.warnings.append(earlier.warning("superseded", message, ""))
        parsed.counters.skipped += 1

    def _refuse(self, parsed: Parsed, row: Waiting, message: str) -> None:
        parsed.warnings.append(row.warning("unknown_reference", message, self.name))
        parsed.counters.failed += 1
