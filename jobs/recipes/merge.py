"""COPY to a staging table, and one statement that merges it into the target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg

from jobs.definition import Counters, ItemWarning, StagedChunk
from jobs.recipes.copying import copy_rows
from jobs.recipes.faults import shown
from jobs.recipes.headers import Header
from jobs.recipes.ledger import Ledger
from jobs.recipes.merge_statement import MergeStatement
from jobs.recipes.modes import LEFT_OUT, Mode
from jobs.recipes.parents import ParentLinks
from jobs.recipes.refusals import UnresolvedParent, explain
from jobs.recipes.sparse import SparseStatement
from jobs.recipes.staging import StagedField
from jobs.resources import Resource


class MergeStager:
    """The Stager of imports: stages rows of these fields and merges them by the resource's key.

    Of rows that name the same key within a chunk only the last is written; `merge` adds the
    warnings of the others to the chunk. With a `ledger`, the same statement writes its lines.
    Rows that are `sparse` may lack fields; one that does leaves what an earlier one has written.

    Merges `beside` others, which load other rows of the same file, check their references by turns:
    sessions that lock the same row at once, be it only against deletion, make each other slow.
    """

    def __init__(
        self,
        resource: Resource,
        staged: list[StagedField],
        *,
        mode: str = Mode.UPSERT,
        ledger: Ledger | None = None,
        header: Header | None = None,
        sparse: bool = False,
        beside: UUID | None = None,
    ):
        self.resource = resource
        self.mode = Mode(mode)
        self.ledger = ledger
        self.header = header
        self.sql = (SparseStatement if sparse else MergeStatement)(
            resource, staged, self.mode, ledger
        )
        self.parents = ParentLinks(self.sql, self.sql.parent) if self.sql.parent else None
        self.names = ", ".join(self.sql.columns)
        # What is checked only at commit is checked before, where one row can still be told apart.
        self.check = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"
        if beside:
            turn = int.from_bytes(beside.bytes[8:], signed=True)
            self.check = f"SELECT pg_advisory_xact_lock({turn}); {self.check}"
        self.doubles: list[list[int]] = []
        self.lacking: set[int] = set()  # those of them that lack something
        self.left_out: list[int] = []  # rows of the chunk that the mode has not written

    def prepare(self, cursor: psycopg.Cursor) -> None:
        if self.ledger:
            self.ledger.prepare(cursor)
        columns = "".join(f", {name} {kind}" for name, kind in self.sql.columns.items())
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{self.sql.staging}")
        cursor.execute(f"CREATE TEMP TABLE {self.sql.staging} (n integer{columns})")
        if self.sql.index:
            cursor.execute(self.sql.index)

    def stage(self, cursor: psycopg.Cursor, chunk: StagedChunk) -> None:
        staging = f"pg_temp.{self.sql.staging}"
        cursor.execute(f"TRUNCATE {staging}")
        copy_rows(cursor, f"COPY {staging} (n, {self.names}) FROM STDIN", chunk.rows)
        self._find_doubles(cursor)
        self.left_out = []
        self.chunk = chunk

    def _find_doubles(self, cursor: psycopg.Cursor) -> None:
        """The numbers of staged rows that have the same key."""
        cursor.execute(self.sql.doubles)
        found = cursor.fetchall()
        self.doubles = [sorted(numbers) for numbers, _ in found]
        self.lacking = {n for _, lacking in found for n in lacking or ()}

    def merge(self, cursor: psycopg.Cursor, low: int, high: int) -> Counters:
        superseded = self._superseded(low, high)
        counters, left_out = Counters(skipped=len(superseded)), []
        for others in self._turns(low, high, superseded):
            counted, of_mode = self._merge(cursor, low, high, others)
            counters += counted
            left_out += of_mode
        cursor.execute(self.check)
        self.chunk.warnings += self._warnings(superseded, left_out)
        self.left_out += left_out
        return counters

    def _merge(
        self, cursor: psycopg.Cursor, low: int, high: int, others: list[int]
    ) -> tuple[Counters, list[int]]:
        """Merge the rows of a range but for `others`; also those that the mode has left out."""
        bounds: dict[str, Any] = {"low": low, "high": high, "superseded": others}
        if self.ledger:
            bounds |= self.ledger.parameters(self.chunk, low, high)
        cursor.execute(self.sql.text, self.sql.constants | bounds)
        ((created, updated, given, written, left_out, line),) = cursor.fetchall()
        left_out = left_out or []
        if self.parents:
            bounds["superseded"] = others + left_out
            linked = self.parents.link(cursor, bounds, line)
            updated += len(linked - set(written))
        skipped = len(left_out)
        unchanged = given - created - updated - skipped
        counted = Counters(created=created, updated=updated, unchanged=unchanged, skipped=skipped)
        return counted, left_out

    def _superseded(self, low: int, high: int) -> dict[int, int]:
        """The rows of this range of which a later one says all anew: number to the last's."""
        found = {}
        for double in self.doubles:
            numbers = [n for n in double if low <= n < high]
            for n, following in pairwise(numbers):
                if following not in self.lacking:
                    found[n] = numbers[-1]
        return found

    def _turns(self, low: int, high: int, superseded: dict[int, int]) -> Iterator[list[int]]:
        """Rows that have the same key and lack something are merged one after the other: the rows
        of the range that are left out at each turn."""
        again: dict[int, set[int]] = defaultdict(set)
        for double in self.doubles if self.lacking else ():
            numbers = [n for n in double if low <= n < high and n not in superseded]
            for turn, n in enumerate(numbers[1:]):
                again[turn].add(n)
        yield [*superseded, *(n for later in again.values() for n in later)]
        for later in again.values():
            yield [n for n in range(low, high) if n not in later]

    def _warnings(self, superseded: dict[int, int], left_out: list[int]) -> list[ItemWarning]:
        rows = self.chunk.row_numbers
        said = [
            (n, "superseded", f"Row {rows[last]} has the same key and came later.")
            for n, last in superseded.items()
        ]
        said += [(n, *LEFT_OUT[self.mode]) for n in left_out if n >= 0]
        return [
            ItemWarning(
                code=code,
                message=message,
                row=rows[n],
                key=self.chunk.keys[n],
                outcome="skipped",
            )
            for n, code, message in sorted(said)
        ]

    def explain(self, error: psycopg.Error, number: int) -> tuple[str, str, str, str]:
        """What a refusal of a row means: code, sentence, column and value of a warning."""
        if isinstance(error, UnresolvedParent):
            return error.code, str(error), *self._cell(error.column, number)
        code, message, field = explain(error, self.sql.model)
        return code, message, *self._cell(field, number)

    def _cell(self, field: str, number: int) -> tuple[str, str]:
        """What the source calls a field, and what it says there of a row; often it is known."""
        if self.header is None or field not in self.header.fields or number < 0:
            return field, ""
        at = self.header.fields[field]
        records = self.chunk.records
        return self.header.names[at], shown(records[number][at]) if records else ""
