"""The statement for records of which some lack keys that others have.

What a record lacks stays as it is in a row that exists. A new row gets there what stands in the
staging table, its default.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from jobs.recipes.absent_columns import made_by_database
from jobs.recipes.ledger import Ledger
from jobs.recipes.merge_statement import MergeStatement, column_of, further
from jobs.recipes.modes import Mode
from jobs.recipes.staging import Kind, StagedField
from jobs.resources import Resource

# NULL where the row lacks nothing, otherwise the fields that it lacks, by their place in `staged`.
ABSENT_FIELDS = '"__absent"'


class SparseStatement(MergeStatement):
    """A merge that leaves what a row lacks."""

    def __init__(
        self, resource: Resource, staged: list[StagedField], mode: Mode, ledger: Ledger | None
    ):
        super().__init__(resource, staged, mode, ledger)
        self.divides = self.mode == Mode.UPSERT

    @property
    def columns(self) -> dict[str, str]:
        cleared = {self._cleared(of): "text[]" for of in self.staged if of.kind is Kind.MERGED}
        return super().columns | {ABSENT_FIELDS: "integer[]"} | cleared

    _lacking = f"array_agg(n) FILTER (WHERE {ABSENT_FIELDS} IS NOT NULL)"

    @property
    def _changes_on_conflict(self) -> str:
        """Somebody has made the row since `source` looked: it is met as one that exists."""
        same = " AND ".join(
            f"source.k{i} = {self.fold('EXCLUDED', of)}" for i, of in enumerate(self.keys)
        )
        names, values = zip(*self._changes("source").items(), strict=True)
        return f"({', '.join(names)}) = (SELECT {', '.join(values)} FROM source WHERE {same})"

    def _inserted(self, of: StagedField) -> str:
        column = column_of(of)
        if of.kind is Kind.MERGED and of.given is not None:
            given = f"({further(of)} - {self._cleared(of)}) || {column}"
            return f"CASE WHEN {self._lacks(of)} THEN {column} ELSE {given} END"
        if of.given is None and (default := made_by_database(of.field)):
            return f"CASE WHEN {self._lacks(of)} THEN {default} ELSE {column} END"
        return column

    def _wish(self, of: StagedField, old: str, new: str = "s") -> str:
        return f"CASE WHEN {self._lacks(of, new)} THEN {old} ELSE {new}.{column_of(of)} END"

    def is_given(self, row: str, of: StagedField) -> str:
        return f" AND ({self._lacks(of, row)}) IS NOT TRUE"

    def merged(self, old: str, new: str, of: StagedField) -> str:
        column = column_of(of)
        value = f"{new}.{column}"
        if of.kind is Kind.MERGED:
            value = f"(coalesce({old}.{column}, '{{}}') - {new}.{self._cleared(of)}) || {value}"
        return f"CASE WHEN {self._lacks(of, new)} THEN {old}.{column} ELSE {value} END"

    def remembered(self, earlier: str) -> list[str]:
        """What is kept of EXCLUDED and an earlier row of the same key, as one row."""
        cleared = [self._cleared(of) for of in self.staged if of.kind is Kind.MERGED]
        absent, new = f"{earlier}.{ABSENT_FIELDS}", f"EXCLUDED.{ABSENT_FIELDS}"
        both = f"ARRAY(SELECT unnest({absent}) INTERSECT SELECT unnest({new}))"
        return [
            *(f"{column_of(of)} = {self.merged(earlier, 'EXCLUDED', of)}" for of in self.staged),
            *(f"{name} = {earlier}.{name} || EXCLUDED.{name}" for name in cleared),
            f"{ABSENT_FIELDS} = CASE WHEN num_nulls({absent}, {new}) = 0 THEN {both} END",
        ]

    def _lacks(self, of: StagedField, row: str = "") -> str:
        return f"{self.staged.index(of)} = ANY({row}{'.' * bool(row)}{ABSENT_FIELDS})"

    def _cleared(self, of: StagedField) -> str:
        """The column with the keys of a JSON object that a row clears."""
        return f'"__cleared_{self.staged.index(of)}"'
