"""A column of a file, read a whole batch at a time: checked, and ready for COPY."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from enum import Enum, auto
from typing import Any

from django.core.exceptions import ValidationError

from jobs.formats.base import ABSENT
from jobs.recipes import quick
from jobs.recipes.converters import Text, for_field, json_text
from jobs.recipes.copying import NULL, copy_text, escaped
from jobs.recipes.creating import Maker
from jobs.recipes.faults import Faults
from jobs.recipes.headers import Header
from jobs.recipes.references import Reference
from jobs.recipes.spelling import Spelling
from jobs.recipes.staging import StagedField
from jobs.resources import Column, Resource

BLOCK = 32  # cells that are read at once where one of all has a fault
FEW = 2  # cells on each distinct one, for a table of the distinct ones to pay


class Form(Enum):
    """What the rows of a parser are made of."""

    LINES = auto()  # each row one line in COPY's text format
    ENCODED = auto()  # values that psycopg writes for COPY
    VALUES = auto()  # values as the resource's `clean` sees them


class BoundColumn:
    """A column with its place in the file and its converter.

    What it reads has the form that is asked for. Ready for COPY, members of a JSON object are
    `"key":value`, and empty where the object does not have them. In a `sparse` file cells may be
    ABSENT: then it is what a new row gets, or ABSENT among values.
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
        maker: Maker | None = None,
        sparse: bool = False,
    ):
        self.maker = maker
        self.sparse = sparse
        self.column = column
        self.indexes = [header.known.index(name) for name in column.names]
        self.names = [header.names[index] for index in self.indexes]  # what the file calls it
        self.name = self.names[0]
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
        self.reference = Reference(
            self.field.related_model, resource.lookups[self.field.name], self.maker
        )
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

    def one(self, cells: list[str]) -> Any:
        """The value of a single row's cells, not all empty; raises ValidationError, ValueError."""
        if self.reference:
            self.reference.load(cells, self.several)
        return self._values([tuple(cells)] if len(cells) > 1 else cells)[0]

    def read(self, grid: list[Sequence[str]], faults: Faults) -> Sequence[Any]:
        """The column in all rows, ready for COPY or as values; None stands in for a fault."""
        cells: Sequence[Any] = grid[self.indexes[0]]
        if self.reference:
            self.reference.load(cells, self.several)
            if self.maker and self.maker.noted:
                faults.note(self.name, self.maker.sentences())
        if len(self.indexes) > 1:
            cells = list(zip(*(grid[index] for index in self.indexes), strict=True))
        values = self._read_some(cells, faults)
        return self._completed(values, grid[self.indexes[0]]) if self.sparse else values

    def _completed(self, values: Sequence[Any], cells: Sequence[str]) -> Sequence[Any]:
        """The values, with what new rows get where the record has no such cell."""
        if self.start is not None and self.form is not Form.VALUES:
            return values
        return [
            self._if_lacking() if cell is ABSENT else value
            for value, cell in zip(values, cells, strict=True)
        ]

    def _if_lacking(self) -> Any:
        if self.form is Form.VALUES:
            return ABSENT
        value = self.staged.if_lacking()
        return (
            texts(self.staged, [value])[0] if self.form is Form.LINES else self.staged.ready(value)
        )

    def _read_some(self, cells: Sequence[Any], faults: Faults) -> Sequence[Any]:
        """All cells at once; where there is a fault among them, ever fewer."""
        if (all_values := self._try(cells, faults)) is not None:
            return all_values
        distinct = [*set(cells)]
        if len(distinct) * FEW > len(cells):
            values, wrong = self._read_blocks(cells, faults)
        else:
            found, errors = self._read_blocks(distinct, faults)
            known = dict(zip(distinct, found, strict=True))
            of = {distinct[at]: error for at, error in errors.items()}
            wrong = {place: of[cell] for place, cell in enumerate(cells) if cell in of}
            values = [known[cell] for cell in cells]
        for place, error in wrong.items():
            cell = cells[place]
            text = cell if isinstance(cell, str) else " ".join(cell)
            faults.add(place, self.name, text, error)
        return values

    def _read_blocks(
        self, cells: Sequence[Any], faults: Faults
    ) -> tuple[list[Any], dict[int, Exception]]:
        """The values, and what is wrong with the cells at these places."""
        values: list[Any] = []
        wrong: dict[int, Exception] = {}
        for at in range(0, len(cells), BLOCK):
            block = cells[at : at + BLOCK]
            found = self._try(block, faults)
            values += self._read_each(block, at, wrong) if found is None else found
        return values, wrong

    def _try(self, cells: Sequence[Any], faults: Faults) -> Sequence[Any] | None:
        """All these cells; None where there is a fault among them."""
        try:
            return self._read_all(cells, faults.batch.is_plain)
        except (ValidationError, ValueError) as error:
            _let_go(error)
            return None

    def _read_each(
        self, cells: Sequence[Any], first: int, wrong: dict[int, Exception]
    ) -> Iterator[Any]:
        """The values from this place on, one by one."""
        for place, cell in enumerate(cells, first):
            try:
                yield self._values([cell])[0]
            except (ValidationError, ValueError) as error:
                _let_go(error)
                wrong[place] = error
                yield NULL if self.form is Form.LINES else None

    def _read_all(self, cells: Sequence[Any], is_plain: bool) -> Sequence[Any]:
        if self.form is Form.LINES and self.fits and self._fit(self.fits, cells):
            return self._taken(cells, is_plain)
        if self.form is not Form.VALUES:
            distinct = set(cells)
            if len(distinct) * FEW <= len(cells):  # then each is converted only once
                known = dict(zip(distinct, self._values(distinct), strict=True))
                return [known[cell] for cell in cells]
        return self._values(cells)

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
            return Members(self.start, cells)
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
            values = [
                convert(cell) if cell else None if cell is ABSENT else empty() for cell in cells
            ]
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


class Members(Sequence[str]):
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


def _let_go(error: Exception) -> None:
    """A ValidationError refers to itself: its frames would hold the rows for long."""
    error.__traceback__ = error.__context__ = None


def objects_of(columns: list[Sequence[Any]]) -> list[str]:
    """JSON objects of these members; an empty one is left out."""
    plain = [column for column in columns if isinstance(column, Members) and all(column.cells)]
    if len(plain) == len(columns):
        starts = [column.start.replace("%", "%%") for column in plain]
        form = "{" + ",".join(f'{start}"%s"' for start in starts) + "}"
        return list(map(form.__mod__, zip(*(column.cells for column in plain), strict=True)))
    return ["{" + ",".join(filter(None, each)) + "}" for each in zip(*columns, strict=True)]


def texts(staged: StagedField, values: list[Any]) -> Sequence[str]:
    """Converted values as COPY reads them."""
    if encode := staged.encoder():
        values = [None if value is None else encode(value) for value in values]
    return escaped([NULL if value is None else copy_text(value) for value in values])
