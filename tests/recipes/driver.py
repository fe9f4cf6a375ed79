"""Runs the step of an import or an export here, on the test's own connection."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from uuid import UUID

import psycopg
from django.db import connection, transaction

from jobs.definition import Counters, ItemWarning, Job, JobError, Pace, find
from jobs.engine.halving import halve
from jobs.recipes.imports import ImportJob
from jobs.resources import Resource


class Files:
    """A workspace whose files are in memory."""

    told_to = UUID(int=1)  # the execution that keeps the ledger

    def __init__(self, given: bytes = b"", called: str = "file.csv"):
        self.given, self.called = given, called
        self.made: dict[str, bytes] = {}
        self.said: list[str] = []
        self.loaded = Loaded()
        self.before: Loaded | None = None

    def open(self, _field: str = "file") -> BinaryIO:
        return io.BytesIO(self.given)

    def name(self, _field: str = "file") -> str:
        return self.called

    def size(self, _field: str = "file") -> int:
        return len(self.given)

    def failed_rows(self) -> None:
        """All rows are taken."""

    def named(self, pattern: str) -> str:
        return pattern

    def left_out(self, rows: Collection[int]) -> set[int]:
        """Which of these rows have a warning that says so."""
        warnings = [*self.loaded.warnings, *(self.before.warnings if self.before else ())]
        said = {each.row for each in warnings if each.outcome != "kept"}
        return said & set(rows)

    def log(self, sentence: str) -> None:
        self.said.append(sentence)

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        file = io.BytesIO()
        yield file
        self.made[name] = file.getvalue()

    @contextmanager
    def own_connection(self) -> Iterator[psycopg.Connection]:
        connection.ensure_connection()
        yield connection.connection


@dataclass
class Loaded:
    """What an import did: its counts and warnings, and the cursor and position of each chunk."""

    counters: Counters = field(default_factory=Counters)
    warnings: list[ItemWarning] = field(default_factory=list)
    cursors: list[Any] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    error: str = ""
    said: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The counters that are not zero."""
        names = ("created", "updated", "unchanged", "skipped", "failed")
        return {name: n for name in names if (n := getattr(self.counters, name))}

    @property
    def codes(self) -> list[tuple[int | None, str, str]]:
        """Row, column and code of every warning."""
        return [(each.row, each.column, each.code) for each in self.warnings]


def import_of(resource: type[Resource]) -> type[ImportJob]:
    """The import of a resource that has no name."""
    return type("Import", (ImportJob,), {"resource": resource})


def load(
    job: str | type[Job],
    file: str | bytes,
    *,
    size: int = 5000,
    cursor: Any = None,
    chunks: int | None = None,
    called: str = "file.csv",
    before: Loaded | None = None,
    **parameters: Any,
) -> Loaded:
    """Import the file in chunks of `size` rows from behind the cursor, `chunks` of them at most.

    `before` is what an earlier attempt has loaded.
    """
    given = file.encode() if isinstance(file, str) else file
    files = Files(given, called)
    files.before = before
    kind = find(job) if isinstance(job, str) else job
    loaded = files.loaded = Loaded(said=files.said)
    (step,) = kind(parameters, files).steps()
    try:
        stager = step.stager()
        connection.ensure_connection()
        with connection.connection.cursor() as sql:
            stager.prepare(sql)
            for chunk in step.chunks(cursor, Pace(size)):
                with transaction.atomic():
                    _load_chunk(stager, sql, chunk, loaded)
                if chunks is not None and len(loaded.cursors) == chunks:
                    break
    except JobError as error:
        loaded.error = str(error)
    return loaded


def _load_chunk(stager: Any, sql: psycopg.Cursor, chunk: Any, loaded: Loaded) -> None:
    def merge(low: int, high: int) -> Counters:
        with transaction.atomic():
            return stager.merge(sql, low, high)

    def refuse(number: int, error: Exception) -> ItemWarning:
        code, message, column, value = stager.explain(error, number)
        return ItemWarning(
            code=code,
            message=message,
            row=chunk.row_numbers[number],
            key=chunk.keys[number],
            column=column,
            value=value,
        )

    if chunk.rows:
        stager.stage(sql, chunk)
    merged, refused = halve(0, len(chunk.rows), merge, refuse)
    loaded.counters += chunk.counters + merged
    loaded.warnings += [*chunk.warnings, *refused]
    loaded.cursors.append(json.loads(json.dumps(chunk.cursor)))
    loaded.positions.append(chunk.position)


class Progress:
    """The context of a function step: it adds up what the checkpoints say."""

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None

    def checkpoint(self, _cursor: Any = None, *, done: int = 0, total: int | None = None) -> None:
        self.done += done
        self.total = total


def export(job: str | type[Job], **parameters: Any) -> tuple[str, dict[str, int], Files]:
    """The text of the file that an export writes, its result, and its files."""
    files, result = export_files(job, **parameters)
    (made,) = files.made.values()
    return made.decode(), result, files


def export_files(job: str | type[Job], **parameters: Any) -> tuple[Files, dict[str, int]]:
    """The files that an export writes, and its result."""
    files, progress = Files(), Progress()
    kind = find(job) if isinstance(job, str) else job
    (step,) = kind(parameters, files).steps()
    result = step.function(progress)
    assert progress.done == progress.total == result["rows"]
    return files, result
