"""Exports: the rows of a resource in files that an import of the same resource reads back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, ClassVar, cast
from zipfile import ZipFile

from django.core.exceptions import ValidationError

from jobs.definition import FunctionStep, Job, JobError
from jobs.formats.writing import WRITERS, gzipped, member, open_writer, zipped
from jobs.formats.written import Target, WriteOptions
from jobs.places import Unavailable
from jobs.recipes.export_form import ExportForm, selection_of
from jobs.recipes.placed import send_steps
from jobs.recipes.row_source import RowSource
from jobs.resources import ResourceClass

CHECKPOINT_SECONDS = 1.0
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# To make cells costs more than to hand them over, of which the planner believes the contrary.
IN_PARALLEL = "SET LOCAL parallel_tuple_cost = 0"
RAW = "jobs.export_raw"


class ExportJob(Job):
    """Write the rows of a resource to files, as they were at one moment.

    Unless columns are chosen, the file has those that the resource's import takes. After a crash
    or a pause it starts anew, with the rows as they are then.
    """

    type = "export"
    resource: ClassVar[ResourceClass]
    retry_on = (Unavailable,)

    class Parameters(ExportForm):
        pass

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "resource" in cls.__dict__:
            own = type("Parameters", (cls.Parameters,), {"resource": cls.resource})
            cls.Parameters = cast("Any", own)  # type: ignore[misc] # each export has its own form

    @classmethod
    def needs(cls, parameters: dict[str, Any]) -> set[str]:
        """To write without the guard, and to see the models that relations lead to."""
        try:
            models = selection_of(cls.resource, parameters).models()
        except ValidationError:
            models = set()  # the form refuses it, and says why
        seen = {f"{model._meta.app_label}.view_{model._meta.model_name}" for model in models}
        return seen | ({RAW} if parameters.get("raw") else set())

    def steps(self) -> list[FunctionStep]:
        return [
            FunctionStep(
                name="export", label="Write rows", function=self.write_files, atomic=False
            ),
            *send_steps(self),
        ]

    def write_files(self, context: Any) -> dict[str, int]:
        """Copy the rows to files; returns {"rows": how many}, and {"files": …} if several."""
        with self.workspace.own_connection() as connection:
            alone = connection.autocommit  # and not within a test's transaction
            with connection.transaction(), connection.cursor() as cursor:
                if alone:
                    cursor.execute(ONE_MOMENT)
                    cursor.execute(IN_PARALLEL)
                return self._write(self._source(cursor), context)

    def _source(self, cursor: Any) -> RowSource:
        try:
            source = RowSource(selection_of(self.resource, self.parameters), cursor)
        except ValidationError as error:
            raise JobError(" ".join(error.messages)) from None
        if source.unknown:
            self.workspace.log(f"Keys left out: {', '.join(source.unknown)}.")
        return source

    def _write(self, source: RowSource, context: Any) -> dict[str, int]:
        options = self._options()
        columns = source.columns(self.parameters.get("header") or "codes")
        progress = Progress(context, source.count())
        kind = self.parameters.get("format") or "csv"
        copied = source.lines(WRITERS[kind].copies, columns, options)
        # Closed on an error too: the transaction cannot end before its COPY.
        with closing(copied) as lines, self._archive() as archive:
            for number, part in enumerate(divided(lines, self._rows_per_file()), 1):
                with (
                    self._target(kind, number, archive) as target,
                    open_writer(kind, target, columns, options) as writer,
                ):
                    for some in part:
                        writer.write_copied(some)
                        progress.add(len(some))
        progress.tell()
        return {"rows": progress.rows} | ({"files": number} if number > 1 else {})

    @contextmanager
    def _archive(self) -> Iterator[ZipFile | None]:
        if self.parameters.get("pack") != "zip":
            yield None
            return
        with self.workspace.create(f"{self._file_name()}.zip") as target, zipped(target) as archive:
            yield archive

    @contextmanager
    def _target(self, kind: str, number: int, archive: ZipFile | None) -> Iterator[Target]:
        """What the rows of one file are written to."""
        name = f"{self._file_name()}{f'-{number}' if self._rows_per_file() else ''}.{kind}"
        with ExitStack() as stack:
            if archive:
                yield stack.enter_context(member(archive, name))
            elif self.parameters.get("pack") == "gzip":
                packed = stack.enter_context(self.workspace.create(f"{name}.gz"))
                yield stack.enter_context(gzipped(packed))
            else:
                yield stack.enter_context(self.workspace.create(name))

    def _rows_per_file(self) -> int:
        return int(self.parameters.get("rows_per_file") or 0)

    def _options(self) -> WriteOptions:
        delimiter = self.parameters.get("delimiter") or ";"
        return WriteOptions(
            delimiter="\t" if delimiter == "tab" else delimiter,
            encoding=self.parameters.get("encoding") or "utf-8",
            header=self.parameters.get("header") != "none",
            guard=not self.parameters.get("raw"),
            title=str(self.resource.model._meta.verbose_name_plural).capitalize(),
        )

    def _file_name(self) -> str:
        """The name of the file, without its ending."""
        plural = str(self.resource.model._meta.verbose_name_plural).replace(" ", "_")
        return str(self.workspace.named(self.parameters.get("file_name") or plural))


def divided(batches: Iterator[list[Any]], size: int) -> Iterator[Iterator[list[Any]]]:
    """The batches of each file, of `size` rows at most; of the only one when there is no size.

    There is a first file even without rows. Each is to be read to its end before the next.
    """
    rest: list[Any] = []

    def one() -> Iterator[list[Any]]:
        nonlocal rest
        room = size
        while lines := rest or next(batches, []):
            now, rest = (lines[:room], lines[room:]) if size else (lines, [])
            yield now
            room -= len(now)
            if size and not room:
                return

    yield one()
    while rest or (rest := next(batches, [])):
        yield one()


class Progress:
    """Counts rows, and tells the engine about once a second."""

    def __init__(self, context: Any, total: int):
        self.context, self.total = context, total
        self.rows = self.told = 0
        self.next_at = time.monotonic() + CHECKPOINT_SECONDS

    def add(self, rows: int) -> None:
        self.rows += rows
        if time.monotonic() >= self.next_at:
            self.tell()

    def tell(self) -> None:
        self.context.checkpoint(None, done=self.rows - self.told, total=self.total)
        self.told = self.rows
        self.next_at = time.monotonic() + CHECKPOINT_SECONDS
