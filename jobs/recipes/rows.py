"""From the records of a file to rows for the staging table: a column at a time, for speed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from jobs.definition import Counters, ItemWarning, Skip
from jobs.formats.base import Batch
from jobs.recipes.converters import Text, for_field, json_text
from jobs.recipes.headers import Header
from jobs.recipes.references import Reference
from jobs.recipes.spelling import OUR_WAY, Spelling
from jobs.recipes.staging import Kind, StagedField
from jobs.resources import Column, Resource

VALUE_LIMIT = 200  # characters of a value within a warning
TRIGGERS = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets take a cell that starts so for a formula
SEPARATOR = "\x1f"
FEW = 2  # cells on each distinct one, for a table of the distinct ones to pay


@dataclass(slots=True)
class Parsed:
    """The good rows of a batch, with their places in it, and what became of the others."""

    rows: list[tuple[Any, ...]]
    indexes: list[int]
    keys: list[str]
    warnings: list[ItemWarning]
    counters: Counters
    rejected: list[tuple[int, list[str]]]


class RowParser:
    """Converts the records of one file; made once from its header.

    `guarded` says that texts which look like formulas have an apostrophe before them.
    """

    def __init__(
        self,
        resource: Resource,
        header: Header,
        staged: list[StagedField],
        spelling: Spelling = OUR_WAY,
        *,
        guarded: bool = True,
    ):
        self.resource = resource
        self.header = header.names
        self.staged = staged
        self.guarded = guarded
        keys = resource.key_fields()
        self.cleans = type(resource).clean is not Resource.clean
        by_field = {of.field.name: of for of in staged}
        self.cells = [
            BoundColumn(
                column,
                header,
                resource,
                by_field[column.field],
                spelling=spelling,
                encodes=not self.cleans,
            )
            for column in header.columns
        ]
        self.key_indexes = [
            bound.indexes[0] for key in keys for bound in self.cells if bound.column.field == key
        ]

    def parse(self, batch: Batch) -> Parsed:
        faults = _Faults(batch)
        indexes = self._readable(batch, faults)
        grid = self._grid([batch.records[index] for index in indexes])
        if not indexes:
            return faults.parsed([], [], [])
        faults.indexes = indexes
        faults.keys = keys = self._keys(grid)
        values = [bound.read(grid, faults) for bound in self.cells]
        if self.cleans:
            rows = self._cleaned_rows(values, faults)
        else:
            rows = list(zip(*self._staged_columns(values), strict=True))
        return faults.parsed(rows, indexes, keys)

    def _grid(self, records: list[list[str]]) -> list[Sequence[str]]:
        """The columns of these records."""
        grid: list[Sequence[str]] = list(zip(*records, strict=True))
        return [_without_guard(cells) for cells in grid] if self.guarded else grid

    def _readable(self, batch: Batch, faults: _Faults) -> list[int]:
        """The places of the records that have all their cells, in characters one can read."""
        width, records = len(self.header), batch.records
        if batch.suspect:
            for index, cells in enumerate(records):
                self._check_characters(index, cells, faults)
        for refusal in batch.refusals:
            faults.add_unread(*refusal)
        for index, cells in enumerate(records):
            if len(cells) < width and index not in faults.unread:
                faults.add_unread(
                    index,
                    "missing_cells",
                    f"The row has {len(cells)} cells; the header names {width} columns.",
                )
        return [index for index in range(len(records)) if index not in faults.unread]

    def _check_characters(self, index: int, cells: list[str], faults: _Faults) -> None:
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

    def _staged_columns(self, columns: list[list[Any]]) -> Iterator[list[Any]]:
        """The columns of the staging table from those of the file."""
        for staged in self.staged:
            own = [
                column
                for bound, column in zip(self.cells, columns, strict=True)
                if bound.column.field == staged.field.name
            ]
            if staged.kind is Kind.DEFAULT:
                yield [staged.default() for _ in columns[0]]
            elif staged.kind is Kind.MERGED:
                members = zip(*own, strict=True)
                yield ["{" + ",".join(filter(None, each)) + "}" for each in members]
            else:
                yield own[0]

    def _cleaned_rows(
        self, values: list[list[Any]], faults: _Faults
    ) -> list[tuple[Any, ...] | None]:
        """The rows for COPY after the resource's `clean`; None for those it leaves out."""
        rows: list[tuple[Any, ...] | None] = []
        for place, row_values in enumerate(zip(*values, strict=True)):
            cleaned = None
            if place not in faults.found:
                cleaned = self._clean(self._as_dict(row_values), place, faults)
            if cleaned is None:
                rows.append(None)
            else:
                rows.append(tuple(staged.from_row(cleaned) for staged in self.staged))
        return rows

    def _as_dict(self, values: tuple[Any, ...]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for bound, value in zip(self.cells, values, strict=True):
            if bound.column.key is None:
                row[bound.column.field] = value
            else:
                row.setdefault(bound.column.field, {})[bound.column.key] = value
        return row

    def _clean(self, row: dict[str, Any], place: int, faults: _Faults) -> dict[str, Any] | None:
        given = set(row)
        try:
            cleaned = self.resource.clean(row)
        except Skip as reason:
            faults.skip(place, str(reason))
            return None
        except ValidationError as error:
            for name, each in _by_field(error):
                faults.add(place, name, "", each)
            return None
        if set(cleaned) != given:
            name = min(set(cleaned) ^ given)
            raise TypeError(
                f"clean() of {self.resource.name} must return the fields it was given, no more "
                f"and no fewer; {name!r} is too much or missing."
            )
        return cleaned


class BoundColumn:
    """A column with its place in the file and its converter.

    With `encodes` it gives values ready for COPY, and members of a JSON object as `"key":value`;
    without, the values themselves, for the resource's `clean`.
    """

    def __init__(
        self,
        column: Column,
        header: Header,
        resource: Resource,
        staged: StagedField,
        *,
        spelling: Spelling,
        encodes: bool,
    ):
        self.column = column
        self.indexes = [header.known.index(name) for name in column.names]
        self.name = header.names[self.indexes[0]]  # what the file calls it
        self.field: Any = resource.model._meta.get_field(column.field)
        self.reference: Reference | None = None
        self.several = bool(self.field.many_to_many)
        self.required = column.field in resource.key_fields()
        self.convert = spelling.applied(column.convert or self._own_converter(resource))
        self.empty = self._empty()
        self.encodes = encodes
        self.start = None if column.key is None else json_text(column.key) + ":"
        self.encode = staged.encoder()

    def _own_converter(self, resource: Resource) -> Callable[..., Any]:
        if self.column.parts:
            return lambda *cells: dict(zip(self.column.parts, cells, strict=True))
        if self.column.key is not None:
            return Text()
        if not self.field.is_relation:
            return for_field(self.field)
        if self.field.related_model is resource.model and not self.several:
            return str.strip  # a parent may stand in the same file, so the merge resolves it
        self.reference = Reference(self.field.related_model, resource.lookups[self.field.name])
        return self.reference.many if self.several else self.reference.one

    def _empty(self) -> Callable[[], Any] | None:
        """What an empty cell means: a function that returns it or refuses; None for None."""
        if self.column.key is not None or (self.field.null and not self.required):
            return None
        if self.several:
            return list
        if self.field.has_default() and not self.required:
            return self.field.get_default
        if self.field.blank and self.field.empty_strings_allowed and not self.required:
            return str
        return self._refuse_empty

    def _refuse_empty(self) -> None:
        raise ValidationError(f"{self.name} must not be empty.", "blank")

    def read(self, grid: list[Sequence[str]], faults: _Faults) -> list[Any]:
        """The column in all rows, ready for COPY or as values; None stands in for a fault."""
        cells: Sequence[Any] = grid[self.indexes[0]]
        if self.reference:
            self.reference.load(cells, self.several)
        if len(self.indexes) > 1:
            cells = list(zip(*(grid[index] for index in self.indexes), strict=True))
        try:
            if self.encodes:
                distinct = set(cells)
                if len(distinct) * FEW <= len(cells):  # then each is converted only once
                    known = dict(zip(distinct, self._values(distinct), strict=True))
                    return [known[cell] for cell in cells]
            return self._values(cells)
        except (ValidationError, ValueError):
            return self._read_one_by_one(cells, faults)

    def _values(self, cells: Collection[Any]) -> list[Any]:
        convert, empty = self.convert, self.empty
        if len(self.indexes) > 1:
            values = [convert(*group) if any(group) else None for group in cells]
        elif isinstance(convert, Text) and convert.fits(cells) and (empty is None or all(cells)):
            values = [cell or None for cell in cells]
        elif empty is None:
            values = [convert(cell) if cell else None for cell in cells]
        else:
            values = [convert(cell) if cell else empty() for cell in cells]
        return self._encoded(values)

    def _encoded(self, values: list[Any]) -> list[Any]:
        """The values as COPY takes them, or as members of a JSON object; empty for none."""
        encode, start = self.encode, self.start
        if not self.encodes or encode is None:
            return values
        if start is None:
            return [None if value is None else encode(value) for value in values]
        return ["" if value is None else start + encode(value) for value in values]

    def _read_one_by_one(self, cells: Collection[Any], faults: _Faults) -> list[Any]:
        """As `_values`, but a fault costs only its own row."""
        values, known = [], {}
        for place, cell in enumerate(cells):
            if cell not in known:
                try:
                    known[cell] = self._values([cell])[0]
                except (ValidationError, ValueError) as error:
                    known[cell] = error
            value = known[cell]
            if isinstance(value, Exception):
                text = cell if isinstance(cell, str) else " ".join(cell)
                faults.add(place, self.name, text, value)
                value = None
            values.append(value)
        return values


@dataclass(slots=True)
class _Faults:
    """What is wrong with the rows of a batch.

    `unread` is by the record's index in the batch; `found` and `skipped` by its place among those
    that could be read, whose `indexes` and `keys` follow.
    """

    batch: Batch
    unread: dict[int, list[ItemWarning]] = field(default_factory=dict)
    found: dict[int, list[ItemWarning]] = field(default_factory=dict)
    skipped: int = 0
    indexes: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def add_unread(
        self, index: int, code: str, message: str, column: str = "", value: str = ""
    ) -> None:
        warning = ItemWarning(
            code=code,
            message=message,
            row=self.batch.rows[index],
            column=column,
            value=shown(value),
        )
        self.unread.setdefault(index, []).append(warning)

    def add(self, place: int, column: str, value: str, error: Exception) -> None:
        code = getattr(error, "code", None) or "invalid"
        messages = getattr(error, "messages", None) or [str(error)]
        self._add(place, (code, " ".join(messages)), column, value)

    def skip(self, place: int, reason: str) -> None:
        self.skipped += 1
        self._add(place, ("skipped", reason), outcome="skipped")

    def _add(
        self,
        place: int,
        said: tuple[str, str],
        column: str = "",
        value: str = "",
        *,
        outcome: str = "failed",
    ) -> None:
        warning = ItemWarning(
            code=said[0],
            message=said[1],
            row=self.batch.rows[self.indexes[place]],
            key=shown(self.keys[place]),
            column=column,
            value=shown(value),
            outcome=outcome,
        )
        self.found.setdefault(place, []).append(warning)

    def parsed(
        self, rows: Sequence[tuple[Any, ...] | None], indexes: list[int], keys: list[str]
    ) -> Parsed:
        warnings = [
            each for found in (self.unread, self.found) for of in found.values() for each in of
        ]
        failed = len(self.unread) + len(self.found) - self.skipped
        good: Sequence[int] = range(len(rows))
        if self.found:
            good = [place for place in good if place not in self.found]
            rows = [rows[place] for place in good]
            keys = [keys[place] for place in good]
            indexes = [indexes[place] for place in good]
        return Parsed(
            rows=[row for row in rows if row is not None],
            indexes=indexes,
            keys=keys,
            warnings=sorted(warnings, key=lambda warning: warning.row or 0),
            counters=Counters(failed=failed, skipped=self.skipped),
            rejected=self._rejected(),
        )

    def _rejected(self) -> list[tuple[int, list[str]]]:
        """The rows that failed, as they stand in the file."""
        failed = [
            self.indexes[place]
            for place, warnings in self.found.items()
            if any(warning.outcome == "failed" for warning in warnings)
        ]
        rows, records = self.batch.rows, self.batch.records
        return [(rows[index], records[index]) for index in (*self.unread, *failed)]


def shown(value: str) -> str:
    """A text that a database can keep, cut to the length of a warning's value."""
    cut = value if len(value) <= VALUE_LIMIT else value[: VALUE_LIMIT - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:VALUE_LIMIT]


def _without_guard(cells: Sequence[str]) -> Sequence[str]:
    """Take one apostrophe off texts that an export has guarded from being read as formulas."""
    if f"{SEPARATOR}'" not in SEPARATOR + SEPARATOR.join(cells):
        return cells
    return [
        cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(TRIGGERS) else cell
        for cell in cells
    ]


def _by_field(error: ValidationError) -> list[tuple[str, ValidationError]]:
    if not hasattr(error, "error_dict"):
        return [("", error)]
    return [(name, each) for name, found in error.error_dict.items() for each in found]
