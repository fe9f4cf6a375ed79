"""Imports: rows of a file created or updated by key, at the speed of COPY."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from django.db import models

from jobs.definition import (
    Counters,
    Cursor,
    Job,
    JobError,
    Pace,
    StagedChunk,
    StagedStep,
    Step,
)
from jobs.formats.base import Position, Reader
from jobs.formats.csvs import DELIMITER_WORDS
from jobs.formats.detection import format_of, packing_of
from jobs.formats.reading import open_reader
from jobs.places import Unavailable
from jobs.recipes.chunks import nothing_but_a_header, staged_chunk
from jobs.recipes.creating import Maker
from jobs.recipes.defaults import with_defaults
from jobs.recipes.duplicates import TOLD, Duplicates
from jobs.recipes.headers import Header, read_header
from jobs.recipes.import_form import ImportForm, form_of, read_options
from jobs.recipes.ledger import Ledger
from jobs.recipes.merge import MergeStager
from jobs.recipes.model_rows import ModelStager
from jobs.recipes.modes import Mode
from jobs.recipes.placed import fetch_steps
from jobs.recipes.rehearsal import RehearsingMergeStager
from jobs.recipes.rows import RowParser
from jobs.recipes.spelling import Spelling
from jobs.recipes.staging import Kind, StagedField, staged_fields
from jobs.recipes.taken import SAMPLE, Taken
from jobs.recipes.threshold import Threshold
from jobs.recipes.trees import Tree
from jobs.resources import Resource, ResourceClass

ModelClass = type[models.Model]
MODEL_CHUNK = 50  # rows that go through the model between two checkpoints


@dataclass(frozen=True)
class Plan:
    """How the columns of one file map to the model; made once per execution."""

    resource: Resource
    header: Header
    staged: list[StagedField]
    parser: RowParser

    @property
    def is_tree(self) -> bool:
        return any(of.kind is Kind.PARENT for of in self.staged)


class ImportJob(Job):
    """Create or update the rows of a resource from a file, matched by its key.

    A row with a value that cannot be used becomes a warning, and the others are imported. A file
    whose structure is broken ends the job; what was committed before stays.
    """

    type = "import"
    resource: ClassVar[ResourceClass]
    retry_on = (Unavailable,)

    class Parameters(ImportForm):
        pass

    def __init__(self, parameters: dict[str, Any] | None = None, workspace: Any = None):
        super().__init__(parameters, workspace)
        self._open = ExitStack()
        self._opened: Reader | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "resource" in cls.__dict__:
            cls.Parameters = form_of(cls.resource, cls.Parameters)  # type: ignore[misc,assignment]

    @classmethod
    def needs(cls, parameters: dict[str, Any]) -> set[str]:
        named = parameters.get("create_missing") or ()
        fields: list[Any] = [cls.resource.model._meta.get_field(name) for name in named]
        related = [field.related_model for field in fields]
        return {f"{of._meta.app_label}.add_{of._meta.model_name}" for of in related}

    @classmethod
    def ledger_model(cls, parameters: dict[str, Any]) -> ModelClass | None:
        return cls.resource.model if parameters.get("ledger") else None

    def steps(self) -> list[Step]:
        return [
            *fetch_steps(self),
            StagedStep(
                name="import",
                label="Import rows",
                chunks=self.chunks,
                stager=self._stager,
                rehearses=self._is_dry,
                overlaps=not self._by_model,
                length=lambda: self._reader.size,
                columns=lambda: self._plan.header.names,
                judge=self._threshold(),
                partitions=self._parts(),
            ),
        ]

    @classmethod
    def check_file(cls, name: str, head: bytes, parameters: dict[str, Any]) -> str:
        try:
            if not (parameters.get("format") or packing_of(head)):
                format_of(head, name)
        except JobError as error:
            return str(error)
        return ""

    def _stager(self) -> MergeStager | ModelStager:
        plan, mode = self._plan, self.parameters.get("mode") or Mode.UPSERT
        if self._by_model:
            return ModelStager(plan.resource, plan.staged, plan.header, mode)
        told_to = self.workspace.told_to
        named: dict[str, Any] = {
            "mode": mode,
            "header": plan.header,
            "sparse": self._reader.is_sparse,
        }
        if self._is_dry:
            return RehearsingMergeStager(
                plan.resource, plan.staged, ledger=Ledger(told_to), **named
            )
        kept = Ledger(told_to) if self.parameters.get("ledger") else None
        beside = told_to if self.partition else None
        return MergeStager(plan.resource, plan.staged, ledger=kept, beside=beside, **named)

    @property
    def _by_model(self) -> bool:
        return self.parameters.get("validation") == "model"

    @property
    def _is_dry(self) -> bool:
        return bool(self.parameters.get("dry_run"))

    def _threshold(self) -> Callable[[Counters], None] | None:
        rows = self.parameters.get("max_failed")
        percent = self.parameters.get("max_failed_percent")
        return None if rows is percent is None else Threshold(rows, percent).judge

    def _parts(self) -> int:
        """Rows of a tree name each other, so that a tree is never divided; nor is a dry run."""
        of = self.resource.partitions
        if of == 1 or self._is_dry:
            return 1
        # A file that is fetched may not be here yet: what its rows could name decides.
        is_tree = (
            _may_be_tree(self.resource) if self.parameters.get("place") else self._plan.is_tree
        )
        return 1 if is_tree else of

    def chunks(self, cursor: Cursor | None, pace: Pace) -> Iterator[StagedChunk]:
        """Parse the file from behind the cursor. Raises JobError where its structure is broken."""
        if cursor and TOLD in cursor:
            return
        plan = self._plan
        pace = Pace(min(pace.size, MODEL_CHUNK)) if self._by_model else pace
        with self._open:
            reader = self._reader
            if cursor is None:
                self._announce(reader)
            reader.takes = self._taken(reader)
            if plan.is_tree:
                chunks = Tree(reader, plan.parser, plan.staged).chunks(cursor, pace)
            else:
                chunks = self._rows(reader, plan.parser, cursor, pace)
            left_out = self.workspace.left_out
            yield from Duplicates(reader, plan.parser, cursor, left_out).watch(chunks)

    def _rows(
        self, reader: Reader, parser: RowParser, cursor: Cursor | None, pace: Pace
    ) -> Iterator[StagedChunk]:
        reader.seek(Position(**cursor) if cursor else reader.start)
        while True:
            batch = reader.batch(pace.size)
            if batch.records:
                yield staged_chunk(batch, parser.parse(batch))
            if batch.fault:
                raise batch.fault
            if not batch.records:
                if batch.end.row == 0 and not (self.partition and self.partition.number):
                    yield nothing_but_a_header(batch)
                return

    def _taken(self, reader: Reader) -> Taken | None:
        failed, part = self.workspace.failed_rows(), self.partition
        if failed is None and part is None:
            return None
        sample = reader.sample(SAMPLE) if part else ()
        return Taken(failed, part, self._plan.parser.key_indexes, sample)

    def _announce(self, reader: Reader) -> None:
        """Say on the console how the file is read, so that a wrong guess is seen."""
        name, size = self.workspace.name("file"), self.workspace.size("file")
        self.workspace.log(
            f"Reading {name}: {size:,} bytes, {reader.said()}, {len(reader.header)} columns."
        )
        header = self._plan.header
        mapped = [
            f"{name} as {to}"
            for name, to in zip(header.names, header.known, strict=True)
            if to not in ("", name)
        ]
        if mapped:
            self.workspace.log(f"Columns mapped: {', '.join(mapped)}.")
        if header.left_out:
            self.workspace.log(f"Columns left out: {', '.join(header.left_out)}.")

    @property
    def _reader(self) -> Reader:
        """The reader of the file, opened once an attempt."""
        if self._opened is None:
            self._open.callback(setattr, self, "_opened", None)
            file = self._open.enter_context(self.workspace.open("file"))
            name = self.workspace.name("file")
            self._opened = self._open.enter_context(
                open_reader(file, name, read_options(self.parameters))
            )
        return self._opened

    @cached_property
    def _plan(self) -> Plan:
        resource, reader = self.resource(), self._reader
        if reader.format == "csv":
            _refuse_delimiter(reader.header, self.parameters.get("delimiter") or "")
        header = read_header(resource, reader.header, self.parameters.get("mapping"))
        spelling = Spelling(
            decimal=self.parameters.get("decimal") or ".",
            dates=self.parameters.get("date_format") or "",
            is_typed=reader.format != "csv",
        )
        staged = staged_fields(resource, header.columns)
        if defaults := self.parameters.get("defaults"):
            staged = with_defaults(
                resource, staged, header, defaults, spelling, sparse=reader.is_sparse
            )
        reader.json_columns = header.json_columns(resource)
        parser = RowParser(
            resource,
            header,
            staged,
            spelling,
            guarded=reader.is_guarded,
            makers=self._makers(resource),
            as_values=self._by_model,
            sparse=reader.is_sparse,
        )
        return Plan(resource, header, staged, parser)

    def _makers(self, resource: Resource) -> dict[str, Maker]:
        """What makes missing rows of the relations for which the launch asks for it."""
        field = resource.model._meta.get_field
        return {
            name: Maker(
                field(name), resource.lookups[name], self.workspace.log, is_dry=self._is_dry
            )
            for name in self.parameters.get("create_missing") or ()
        }


def _may_be_tree(resource: ResourceClass) -> bool:
    """Whether there are columns in which a row of the resource names another one."""
    fields = [resource.model._meta.get_field(name) for name in resource.fields]
    own = [of for of in fields if of.related_model is resource.model]
    return any(not of.many_to_many for of in own)


def _refuse_delimiter(header: list[str], chosen: str) -> None:
    """Raise JobError where the whole header stands in one column because of the delimiter."""
    chosen = "\t" if chosen == "tab" else chosen
    found = max(DELIMITER_WORDS, key=header[0].count)
    if len(header) == 1 and chosen and found in header[0]:
        raise JobError(
            f"The file was read as {DELIMITER_WORDS[chosen]}, but its header looks "
            f"{DELIMITER_WORDS[found]}. Choose that delimiter, or let it be found from the header. "
            "Nothing was imported."
        )
