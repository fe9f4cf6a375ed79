"""What single records of a file lack: keys of JSON objects that other records have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from jobs.formats.base import ABSENT, Batch
from jobs.recipes.bound import BoundColumn
from jobs.recipes.copying import escaped
from jobs.recipes.faults import Faults
from jobs.recipes.staging import Kind, StagedField

Lacks = tuple[bool, ...]  # of one record, by the parser's columns


class Lacking:
    """Says for each row which fields it lacks, and which keys of JSON objects it clears.

    These are the further columns of a SparseStatement, behind those of the staged fields. A row
    lacks a field when its record has none of the field's columns.
    """

    def __init__(self, cells: list[BoundColumn], staged: list[StagedField]):
        self.cells = cells
        self.places = {
            number: [at for at, bound in enumerate(cells) if bound.staged is of]
            for number, of in enumerate(staged)
            if of.kind is not Kind.DEFAULT
        }
        self.merged = {n: of for n, of in enumerate(staged) if of.kind is Kind.MERGED}
        self.fields = {number: staged[number] for number in self.places}

    def refuse(self, batch: Batch, faults: Faults) -> None:
        """Refuse records without the key, or with only a part of what belongs together."""
        asked = [bound for bound in self.cells if bound.required or len(bound.indexes) > 1]
        for index, record in enumerate(batch.records):
            for bound in asked if index not in faults.unread else ():
                lacks = [record[at] is ABSENT for at in bound.indexes]
                if any(lacks) and (bound.required or not all(lacks)):
                    missing = bound.names[lacks.index(True)]
                    said = f"The record lacks {missing!r}, {_why_needed(bound, lacks)}."
                    faults.add_unread(index, "missing_key", said, missing)

    def of(self, grid: Sequence[Sequence[str]]) -> list[Lacks]:
        """For each record, which of the columns it lacks."""
        first = (grid[bound.indexes[0]] for bound in self.cells)
        return list(zip(*([cell is ABSENT for cell in cells] for cells in first), strict=True))

    def completed(
        self, of: StagedField, objects: Sequence[str], rows: list[Lacks], null: str | None
    ) -> Sequence[str | None]:
        """JSON objects, with what new rows get where a record has none of the keys."""
        places = next(self.places[n] for n, each in self.merged.items() if each is of)
        value = of.if_lacking()
        default = null if value is None else of.ready(value)
        return [
            default if _all(row, places) else each for each, row in zip(objects, rows, strict=True)
        ]

    def columns(
        self, rows: list[Lacks], values: Sequence[Sequence[str]], null: str | None
    ) -> Iterator[Sequence[str | None]]:
        """The columns of rows that were read: the lacking fields, and the cleared keys."""
        known = {row: self._fields(row, null) for row in set(rows)}
        yield [known[row] for row in rows]
        for number, of in self.merged.items():
            places = self.places[number]
            names = [_quoted(key) for key in of.keys]
            members = zip(*(values[at] for at in places), strict=True)
            cleared = [
                _array(
                    name
                    for name, member, at in zip(names, own, places, strict=True)
                    if not member and not row[at]
                )
                for own, row in zip(members, rows, strict=True)
            ]
            yield cleared if null is None else escaped(cleared)

    def _fields(self, row: Lacks, null: str | None) -> str | None:
        if not any(row):
            return null
        return _array(str(n) for n, places in self.places.items() if _all(row, places))

    def columns_of(self, rows: list[dict[str, Any]]) -> Iterator[Sequence[str | None]]:
        """The same columns of rows that are values by field."""
        yield [self._fields_of(row) for row in rows]
        for of in self.merged.values():
            found = (row.get(of.field.name, {}) for row in rows)
            yield [
                _array(_quoted(k) for k, value in each.items() if value is None) for each in found
            ]

    def _fields_of(self, row: dict[str, Any]) -> str | None:
        if all(of.is_whole(row) for of in self.fields.values()):
            return None
        return _array(str(n) for n, of in self.fields.items() if of.field.name not in row)


def _why_needed(bound: BoundColumn, lacks: list[bool]) -> str:
    if bound.required:
        return "by which its row is found"
    return f"which belongs to {bound.names[lacks.index(False)]!r}"


def _all(row: Lacks, places: Collection[int]) -> bool:
    return all(row[at] for at in places)


def _quoted(text: str) -> str:
    """A text within an array, as PostgreSQL reads it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(texts: Iterable[str]) -> str:
    return "{" + ",".join(texts) + "}"
