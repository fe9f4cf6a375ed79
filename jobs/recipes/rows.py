"""From the records of a file to rows for the staging table: a column at a time, for speed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from jobs.definition import Skip
from jobs.formats.base import ABSENT, Batch
from jobs.recipes.bound import BoundColumn, Form, objects_of, texts
from jobs.recipes.copying import NULL, escaped
from jobs.recipes.creating import Maker
from jobs.recipes.faults import Faults, Parsed, by_field
from jobs.recipes.headers import Header
from jobs.recipes.keys import folded_fields
from jobs.recipes.lacking import Lacking
from jobs.recipes.spelling import OUR_WAY, Spelling
from jobs.recipes.staging import Kind, StagedField
from jobs.resources import Resource

TRIGGERS = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets take a cell that starts so for a formula
SEPARATOR = "\x1f"


class RowParser:
    """Converts the records of one file; made once from its header.

    `guarded` says that texts which look like formulas have an apostrophe before them. `makers`, by
    relation, make the rows that a file names and that are not there. With `as_values` the rows are
    values, not ready for COPY. Rows of a `sparse` file end in the columns of `Lacking`; among
    values, what a record lacks is ABSENT.
    """

    def __init__(
        self,
        resource: Resource,
        header: Header,
        staged: list[StagedField],
        spelling: Spelling = OUR_WAY,
        *,
        guarded: bool = True,
        makers: Mapping[str, Maker] | None = None,
        as_values: bool = False,
        sparse: bool = False,
    ):
        self.resource = resource
        self.header = header.names
        self.staged = staged
        self.guarded = guarded
        keys = resource.key_fields()
        self.cleans = type(resource).clean is not Resource.clean
        self.as_values = as_values
        self.form = _form_of(self.cleans or as_values, staged)
        by_field = {of.field.name: of for of in staged}
        self.cells = [
            BoundColumn(
                column,
                header,
                resource,
                by_field[column.field],
                spelling=spelling,
                form=self.form,
                maker=(makers or {}).get(column.field),
                sparse=sparse,
            )
            for column in header.columns
        ]
        self.lacking = Lacking(self.cells, staged) if sparse else None
        self.key_indexes = [
            bound.indexes[0] for key in keys for bound in self.cells if bound.column.field == key
        ]

    def parse(self, batch: Batch) -> Parsed:
        faults = Faults(batch)
        indexes = self._readable(batch, faults)
        grid = self._grid(batch, indexes)
        if not indexes:
            return faults.parsed([], [], [])
        faults.indexes = indexes
        faults.keys = keys = self._keys(grid)
        values = [bound.read(grid, faults) for bound in self.cells]
        rows: list[Any]
        if self.form is Form.VALUES:
            rows = self._cleaned_rows(values, faults)
        elif self.form is Form.LINES:
            rows = list(map("\t".join, zip(*self._staged_columns(values, grid), strict=True)))
        else:
            rows = list(zip(*self._staged_columns(values, grid), strict=True))
        return faults.parsed(rows, indexes, keys)

    def _grid(self, batch: Batch, indexes: list[int]) -> list[Sequence[str]]:
        """The columns of these records."""
        records = batch.records
        if len(indexes) < len(records):
            records = [records[index] for index in indexes]
        grid: list[Sequence[str]] = list(zip(*records, strict=True))
        if self.guarded and batch.has_apostrophes:
            return [_without_guard(cells) for cells in grid]
        return grid

    def _readable(self, batch: Batch, faults: Faults) -> list[int]:
        """The places of the records that have all their cells, in characters one can read."""
        width, records = len(self.header), batch.records
        if batch.suspect:
            for index, cells in enumerate(records):
                self._check_characters(index, cells, faults)
        for refusal in batch.refusals:
            faults.add_unread(*refusal)
        if self.lacking:
            self.lacking.refuse(batch, faults)
        if not faults.unread and min(map(len, records), default=width) == width:
            return list(range(len(records)))
        for index, cells in enumerate(records):
            if len(cells) < width and index not in faults.unread:
                faults.add_unread(
                    index,
                    "missing_cells",
                    f"The row has {len(cells)} cells; the header names {width} columns.",
                )
        return [index for index in range(len(records)) if index not in faults.unread]

    def _check_characters(self, index: int, cells: list[str], faults: Faults) -> None:
        for name, cell in zip(self.header, cells, strict=False):
            if "\0" in cell:
                faults.add_unread(
                    index, "nul_character", "The text has a NUL character.", name, cell
                )
            elif not cell.isascii() and any("\ud800" <= letter <= "\udfff" for letter in cell):
                faults.add_unread(
                    index, "undecodable", "The text is not in the file's encoding.", name, cell
                )

    def _keys(self, grid: list[Sequence[str]]) -> list[str]:
        if len(self.key_indexes) == 1:
            return list(grid[self.key_indexes[0]])
        return ["/".join(cells) for cells in zip(*(grid[i] for i in self.key_indexes), strict=True)]

    def keys_of(self, batch: Batch) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The number of each readable row, and the cells of its key."""
        places = [at for at, cells in enumerate(batch.records) if len(cells) >= len(self.header)]
        grid = self._grid(batch, places)
        if places:
            keys = zip(*(grid[index] for index in self.key_indexes), strict=True)
            yield from zip((batch.rows[at] for at in places), keys, strict=True)

    @property
    def folds(self) -> list[bool]:
        """Of each part of the key, whether its case does not matter."""
        folded = folded_fields(self.resource.model)
        return [
            bound.reference.folds if bound.reference else name in folded
            for name in self.resource.key_fields()
            for bound in self.cells
            if bound.column.field == name
        ]

    def _staged_columns(
        self, columns: list[Sequence[Any]], grid: list[Sequence[str]]
    ) -> Iterator[Sequence[Any]]:
        """The columns of the staging table from those of the file."""
        null = NULL if self.form is Form.LINES else None
        lacks = self.lacking.of(grid) if self.lacking else []
        for staged in self.staged:
            own = [
                column
                for bound, column in zip(self.cells, columns, strict=True)
                if bound.column.field == staged.field.name
            ]
            if staged.kind is Kind.DEFAULT:
                yield self._defaults(staged, len(columns[0]))
            elif staged.kind is Kind.MERGED:
                objects: Sequence[Any] = objects_of(own)
                if self.lacking:
                    objects = self.lacking.completed(staged, objects, lacks, null)
                yield escaped(objects) if self.form is Form.LINES else objects
            else:
                yield own[0]
        if self.lacking:
            yield from self.lacking.columns(lacks, columns, null)

    def _defaults(self, staged: StagedField, count: int) -> Sequence[Any]:
        """What so many new rows get where the file has no such column."""
        if staged.given is None:
            values, times = [staged.default() for _ in range(count)], 1
        else:
            values, times = [staged.default()], count
        ready = texts(staged, values) if self.form is Form.LINES else map(staged.ready, values)
        return [*ready] * times

    def _cleaned_rows(
        self, values: list[Sequence[Any]], faults: Faults
    ) -> list[tuple[Any, ...] | None]:
        """The rows for COPY after the resource's `clean`; None for those it leaves out."""
        cleaned: dict[int, dict[str, Any]] = {}
        for place, row in enumerate(self._as_dicts(values)):
            if place not in faults.found and (of := self._clean(row, place, faults)) is not None:
                cleaned[place] = of
        columns = [*self._value_columns([*cleaned.values()])]
        rows: list[tuple[Any, ...] | None] = [None] * len(values[0])
        for place, ready in zip(cleaned, zip(*columns, strict=True), strict=True):
            rows[place] = ready
        return rows

    def _value_columns(self, rows: list[dict[str, Any]]) -> Iterator[Sequence[Any]]:
        if self.as_values:
            for staged in self.staged:
                yield [row.get(staged.field.name, ABSENT) for row in rows]
            return
        for staged in self.staged:
            yield staged.column_of(rows)
        if self.lacking:
            yield from self.lacking.columns_of(rows)

    def _as_dicts(self, values: list[Sequence[Any]]) -> Iterator[dict[str, Any]]:
        """Each row as its fields, those of JSON fields under their keys."""
        plain: dict[str, Sequence[Any]] = {}
        objects: dict[str, dict[str, Sequence[Any]]] = {}
        for bound, column in zip(self.cells, values, strict=True):
            if bound.column.key is None:
                plain[bound.column.field] = column
            else:
                objects.setdefault(bound.column.field, {})[bound.column.key] = column
        members = [zip(*columns.values(), strict=True) for columns in objects.values()]
        for row, *parts in zip(zip(*plain.values(), strict=True), *members, strict=True):
            fields = dict(zip(plain, row, strict=True))
            for (name, keys), part in zip(objects.items(), parts, strict=True):
                fields[name] = dict(zip(keys, part, strict=True))
            yield _given(fields, objects) if self.lacking else fields

    def _clean(self, row: dict[str, Any], place: int, faults: Faults) -> dict[str, Any] | None:
        if not self.cleans:
            return row
        given = set(row)
        try:
            cleaned = self.resource.clean(row)
        except Skip as reason:
            faults.skip(place, str(reason))
            return None
        except ValidationError as error:
            error.__traceback__ = error.__context__ = None  # whose frames hold the rows
            for name, each in by_field(error):
                faults.add(place, name, "", each)
            return None
        if set(cleaned) != given:
            name = min(set(cleaned) ^ given)
            raise TypeError(
                f"clean() of {self.resource.name} must return the fields it was given, no more "
                f"and no fewer; {name!r} is too much or missing."
            )
        return cleaned


def _given(fields: dict[str, Any], objects: Collection[str]) -> dict[str, Any]:
    """The fields of a record, and the keys of its `objects`, that it does not lack."""
    for name in objects:
        found = {key: value for key, value in fields[name].items() if value is not ABSENT}
        fields[name] = found or ABSENT
    return {name: value for name, value in fields.items() if value is not ABSENT}


def _form_of(needs_values: bool, staged: list[StagedField]) -> Form:
    """Lines are by far the quickest; a tree has to look at the values of its rows."""
    if needs_values:
        return Form.VALUES
    is_tree = any(of.kind is Kind.PARENT for of in staged)
    return Form.ENCODED if is_tree else Form.LINES


def _without_guard(cells: Sequence[str]) -> Sequence[str]:
    """Take one apostrophe off texts that an export has guarded from being read as formulas."""
    if f"{SEPARATOR}'" not in SEPARATOR + SEPARATOR.join(cells):
        return cells
    return [
        cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(TRIGGERS) else cell
        for cell in cells
    ]
