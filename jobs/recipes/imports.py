"""Imports: rows of a CSV file created or updated by key, at the speed of COPY."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from django import forms

from jobs.definition import Cursor, ItemWarning, Job, JobError, Pace, StagedChunk, StagedStep
from jobs.formats.base import Batch, Position
from jobs.formats.csvs import CsvReader
from jobs.recipes.ledger import Ledger
from jobs.recipes.merge import MergeStager, Mode
from jobs.recipes.rows import Parsed, RowParser
from jobs.recipes.staging import Kind, StagedField, staged_fields
from jobs.recipes.trees import Tree
from jobs.resources import Column, Resource, ResourceClass, UnknownColumns

DELIMITER_CHOICES = [
    ("", "Found from the header"),
    (";", "Semicolon ;"),
    (",", "Comma ,"),
    ("tab", "Tab"),
    ("|", "Vertical bar |"),
]
DELIMITER_WORDS = {
    ";": "separated by semicolons",
    ",": "separated by commas",
    "\t": "separated by tabs",
    "|": "separated by vertical bars",
}
ENCODING_CHOICES = [("utf-8", "UTF-8"), ("cp1252", "Windows-1252"), ("latin-1", "ISO 8859-1")]


def delimiter_of(parameters: dict[str, Any]) -> str:
    """The chosen delimiter itself, empty for none."""
    chosen = parameters.get("delimiter") or ""
    return "\t" if chosen == "tab" else chosen


@dataclass(frozen=True)
class Plan:
    """How the columns of one file map to the model; made once per execution."""

    resource: Resource
    columns: list[Column]
    staged: list[StagedField]
    parser: RowParser
    left_out: list[str]

    @property
    def is_tree(self) -> bool:
        return any(of.kind is Kind.PARENT for of in self.staged)


class ImportJob(Job):
    """Create or update the rows of a resource from a CSV file, matched by its key.

    A row with a value that cannot be used becomes a warning, and the others are imported. A file
    whose structure is broken ends the job; what was committed before stays.
    """

    type = "import"
    resource: ClassVar[ResourceClass]
    validation: ClassVar[str] = "fields"  # the checks of the model's fields, not its save()

    class Parameters(forms.Form):
        file = forms.FileField(help_text="A CSV file whose first line names the columns.")
        delimiter = forms.ChoiceField(choices=DELIMITER_CHOICES, required=False)
        encoding = forms.ChoiceField(choices=ENCODING_CHOICES, required=False, initial="utf-8")
        mode = forms.ChoiceField(
            choices=Mode.choices,
            required=False,
            initial=Mode.UPSERT.value,
            help_text="Rows are found by their key. What the mode does not write is skipped.",
        )
        ledger = forms.BooleanField(
            required=False,
            label="Keep a ledger",
            help_text="Note what each row was before, so that the import can be undone.",
        )

    def steps(self) -> list[StagedStep]:
        return [
            StagedStep(
                name="import",
                label="Import rows",
                chunks=self.chunks,
                stager=self._stager,
                length=lambda: self.workspace.size("file"),
                partitions=self._parts(),
            )
        ]

    def _stager(self) -> MergeStager:
        ledger = Ledger(self.workspace.told_to) if self.parameters.get("ledger") else None
        mode = self.parameters.get("mode") or Mode.UPSERT
        return MergeStager(self._plan.resource, self._plan.staged, mode=mode, ledger=ledger)

    def _parts(self) -> int:
        """Rows of a tree name each other, so that a tree is never divided."""
        of = self.resource.partitions
        return 1 if of == 1 or self._plan.is_tree else of

    def chunks(self, cursor: Cursor | None, pace: Pace) -> Iterator[StagedChunk]:
        """Parse the file from behind the cursor. Raises JobError where its structure is broken."""
        plan = self._plan
        with self.workspace.open("file") as file:
            reader = self._reader(file)
            if cursor is None:
                self._announce(reader)
            reader.takes = self._taken(reader.header)
            if plan.is_tree:
                yield from Tree(reader, plan.parser, plan.staged).chunks(cursor, pace)
                return
            reader.seek(Position(**cursor) if cursor else reader.start)
            while True:
                batch = reader.batch(pace.size)
                if batch.records:
                    yield staged_chunk(batch, plan.parser.parse(batch))
                if batch.fault:
                    raise batch.fault
                if not batch.records:
                    if batch.end.row == 0 and not (self.partition and self.partition.number):
                        yield _nothing_but_a_header(batch)
                    return

    def _taken(self, header: list[str]) -> Callable[[int, list[str]], bool] | None:
        """Which rows of the file are taken: the failed ones, those of this part, or all (None).

        A key always falls into the same part, so that two parts never write the same row.
        """
        failed, part = self.workspace.failed_rows(), self.partition
        if failed is None and part is None:
            return None
        places = self._key_places(header)

        def taken(number: int, cells: list[str]) -> bool:
            if failed is not None and number not in failed:
                return False
            if part is None:
                return True
            key = "\0".join(cells[at].strip().lower() for at in places if at < len(cells))
            return zlib.crc32(key.encode("utf-8", "replace")) % part.of == part.number

        return taken

    def _key_places(self, header: list[str]) -> list[int]:
        keys = set(self._plan.resource.key_fields())
        return [
            header.index(name)
            for column in self._plan.columns
            if column.field in keys
            for name in column.names
        ]

    def _announce(self, reader: CsvReader) -> None:
        """Say on the console how the file is read, so that a wrong guess is seen."""
        name, size = self.workspace.name("file"), self.workspace.size("file")
        delimiter = DELIMITER_WORDS[reader.delimiter]
        self.workspace.log(
            f"Reading {name}: {size:,} bytes, {len(reader.header)} columns, {delimiter}."
        )
        if self._plan.left_out:
            self.workspace.log(f"Columns left out: {', '.join(self._plan.left_out)}.")

    @cached_property
    def _plan(self) -> Plan:
        resource = self.resource()
        with self.workspace.open("file") as file:
            header = self._reader(file).header
        columns = self._columns(resource, header)
        staged = staged_fields(resource, columns)
        return Plan(
            resource=resource,
            columns=columns,
            staged=staged,
            parser=RowParser(resource, header, columns, staged),
            left_out=[name for name in header if name in resource.ignore],
        )

    def _reader(self, file: Any) -> CsvReader:
        encoding = self.parameters.get("encoding") or "utf-8"
        return CsvReader(file, delimiter_of(self.parameters), encoding)

    def _columns(self, resource: Resource, header: list[str]) -> list[Column]:
        """The columns of the header; raises JobError before anything is written."""
        names = header
        try:
            columns = resource.columns(names)
        except UnknownColumns as unknown:
            if delimiter := _other_delimiter(header, delimiter_of(self.parameters)):
                raise JobError(delimiter) from None
            raise JobError(
                f"{_these('column', unknown.names)} not known to {resource.name}. Nothing was "
                "imported. Correct the header, or remove the columns."
            ) from None
        fields = [(column.field, column.key) for column in columns]
        if double := sorted({field for field, key in fields if fields.count((field, key)) > 1}):
            raise JobError(f"More than one column of the file fills {', '.join(double)}.")
        missing = [name for column in columns for name in column.names if name not in names]
        present = {column.field for column in columns}
        missing += [
            resource.field_column(field).names[0]
            for field in resource.key_fields()
            if field not in present
        ]
        if missing:
            raise JobError(
                f"{_these('column', missing)} missing in the file; nothing was imported."
            )
        return columns


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


def _other_delimiter(header: list[str], chosen: str) -> str:
    """A sentence, where the whole header stands in one column because of the delimiter."""
    found = max(DELIMITER_WORDS, key=header[0].count)
    if len(header) > 1 or not chosen or found not in header[0]:
        return ""
    return (
        f"The file was read as {DELIMITER_WORDS[chosen]}, but its header looks "
        f"{DELIMITER_WORDS[found]}. Choose that delimiter, or let it be found from the header. "
        "Nothing was imported."
    )


def _nothing_but_a_header(batch: Batch) -> StagedChunk:
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


def _these(noun: str, names: list[str]) -> str:
    listed = ", ".join(repr(name) for name in names)
    return f"The {noun} {listed} is" if len(names) == 1 else f"The {noun}s {listed} are"
