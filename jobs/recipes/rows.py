"""From the records of a file to rows for the staging table: a column at a time, for speed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from django.core.exceptions import ValidationError

from jobs.definition import Counters, ItemWarning, Skip
from jobs.formats.base import Batch
from jobs.recipes import quick
from jobs.recipes.converters import Text, for_field, json_text
from jobs.recipes.copying import NULL, escaped
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

    rows: list[Any]  # lines or tuples: see Form
    indexes: list[int]
    keys: list[str]
    warnings: list[ItemWarning]
    counters: Counters
    rejected: list[tuple[int, list[str]]]


class Form(Enum):
    """What the rows of a parser are made of."""

    LINES = auto()  # each row one line in COPY's text format
    ENCODED = auto()  # values that psycopg writes for COPY
    VALUES = auto()  # values as the resource's `clean` sees them


def _form_of(cleans: bool, staged: list[StagedField]) -> Form:
    """Lines are by far the quickest; a tree has to look at the values of its rows."""
    if cleans:
        return Form.VALUES
    is_tree = any(of.kind is Kind.PARENT for of in staged)
    return Form.ENCODED if is_tree else Form.LINES


class _Members(Sequence[str]):
    """The members of JSON objects under one key, whose texts need no escapes; made when asked."""

    def __init__(self, start: str, cells: Sequence[str]):
        self.start, self.cells = start, cells

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, place: Any) -> Any:
        return list(self)[place]

    def __iter__(self) -> Iterator[str]:
        start = self.start
        return iter([f'{start}"{cell}"' if cell else "" for cell in self.cells])


def _objects(columns: list[Sequence[Any]]) -> list[str]:
    """JSON objects of these members; an empty one is left out."""
    if all(isinstance(column, _Members) and all(column.cells) for column in columns):
        starts = [column.start.replace("%", "%%") for column in columns]
        form = "{" + ",".join(f'{start}"%s"' for start in starts) + "}"
        return list(map(form.__mod__, zip(*(column.cells for column in columns), strict=True)))
    return ["{" + ",".join(filter(None, each)) + "}" for each in zip(*columns, strict=True)]


def texts(staged: StagedField, values: list[Any]) -> Sequence[str]:
    """Converted values as COPY reads them."""
    return escaped([staged.text_of(value) for value in values])


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
        self.form = _form_of(self.cleans, staged)
        by_field = {of.field.name: of for of in staged}
        self.cells = [
            BoundColumn(
                column,
                header,
                resource,
                by_field[column.field],
                spelling=spelling,
                form=self.form,
            )
            for column in header.columns
        ]
        self.key_indexes = [
            bound.indexes[0] for key in keys for bound in self.cells if bound.column.field == key
        ]

    def parse(self, batch: Batch) -> Parsed:
        faults = _Faults(batch)
        indexes = self._readable(batch, faults)
        grid = self._grid(batch, indexes)
        if not indexes:
            return faults.parsed([], [], [])
        faults.indexes = indexes
        faults.keys = keys = self._keys(grid)
        values = [bound.read(grid, faults) for bound in self.cells]
        if self.cleans:
            rows = self._cleaned_rows(values, faults)
        elif self.form is Form.LINES:
            rows = list(map("\t".join, zip(*self._staged_columns(values), strict=True)))
        else:
            rows = list(zip(*self._staged_columns(values), strict=True))
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

    def _readable(self, batch: Batch, faults: _Faults) -> list[int]:
        """The places of the records that have all their cells, in characters one can read."""
        width, records = len(self.header), batch.records
        if batch.suspect:
            for index, cells in enumerate(records):
                self._check_characters(index, cells, faults)
        for refusal in batch.refusals:
            faults.add_unread(*refusal)
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

    def _staged_columns(self, columns: list[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """The columns of the staging table from those of the file."""
        for staged in self.staged:
            own = [
                column
                for bound, column in zip(self.cells, columns, strict=True)
                if bound.column.field == staged.field.name
            ]
            if staged.kind is Kind.DEFAULT:
                defaults = [staged.default() for _ in columns[0]]
                yield texts(staged, defaults) if self.form is Form.LINES else defaults
            elif staged.kind is Kind.MERGED:
                objects = _objects(own)
                yield escaped(objects) if self.form is Form.LINES else objects
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

    What it reads has the form that is asked for. Ready for COPY, members of a JSON object are
    `"key":value`, and empty where the object does not have them.
    """

    def __init__(
        self,
        column: Column,
        header: Header,
        resource: Resource,
        staged: StagedField,
        *,
        spelling: Spelling,
        form: Form,
    ):
        self.column = column
        self.indexes = [header.known.index(name) for name in column.names]
        self.name = header.names[self.indexes[0]]  # what the file calls it
        self.field: Any = resource.model._meta.get_field(column.field)
        self.reference: Reference | None = None
        self.several = bool(self.field.many_to_many)
        self.required = column.field in resource.key_fields()
        convert = column.convert or self._own_converter(resource)
        self.convert = spelling.applied(convert)
        self.fits = self._quick_check() if self.convert is convert else None
        self.empty = self._empty()
        self.form = form
        self.staged = staged
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

    def _quick_check(self) -> quick.Fits | None:
        """What says of all cells at once that COPY can take them; None where nothing can."""
        if self.column.convert or self.column.parts or self.field.is_relation:
            return None
        return quick.for_column(self.field) if self.column.key is None else quick.as_json

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

    def read(self, grid: list[Sequence[str]], faults: _Faults) -> Sequence[Any]:
        """The column in all rows, ready for COPY or as values; None stands in for a fault."""
        cells: Sequence[Any] = grid[self.indexes[0]]
        if self.reference:
            self.reference.load(cells, self.several)
        if len(self.indexes) > 1:
            cells = list(zip(*(grid[index] for index in self.indexes), strict=True))
        try:
            if self.form is Form.LINES and self.fits and self._fit(self.fits, cells):
                return self._taken(cells, faults.batch.is_plain)
            if self.form is not Form.VALUES:
                distinct = set(cells)
                if len(distinct) * FEW <= len(cells):  # then each is converted only once
                    known = dict(zip(distinct, self._values(distinct), strict=True))
                    return [known[cell] for cell in cells]
            return self._values(cells)
        except (ValidationError, ValueError):
            return self._read_one_by_one(cells, faults)

    def _fit(self, fits: quick.Fits, cells: Sequence[str]) -> bool:
        if all(cells):
            return fits(cells)
        if self.empty not in (None, str):
            return False
        given = list(filter(None, cells))
        return not given or fits(given)

    def _taken(self, cells: Sequence[str], is_plain: bool) -> Sequence[str]:
        """The cells as they stand, as COPY takes them."""
        if self.start is not None:
            return _Members(self.start, cells)
        if not is_plain:
            cells = escaped(cells)
        return cells if self.empty is str else [cell or NULL for cell in cells]

    def _values(self, cells: Collection[Any]) -> Sequence[Any]:
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

    def _encoded(self, values: list[Any]) -> Sequence[Any]:
        """The values in the form that is asked for."""
        encode, start = self.encode, self.start
        if self.form is Form.VALUES:
            return values
        if start is not None and encode is not None:
            return ["" if value is None else start + encode(value) for value in values]
        if self.form is Form.LINES:
            return texts(self.staged, values)
        if encode is None:
            return values
        return [None if value is None else encode(value) for value in values]

    def _read_one_by_one(self, cells: Collection[Any], faults: _Faults) -> Sequence[Any]:
        """As `_values`, but a fault costs only its own row."""
        values: list[Any] = []
        known: dict[Any, Any] = {}
        stand_in = NULL if self.form is Form.LINES else None
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
                value = stand_in
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

    def parsed(self, rows: Sequence[Any], indexes: list[int], keys: list[str]) -> Parsed:
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
