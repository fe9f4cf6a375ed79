"""The files of one execution, as its job sees them, and its voice."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any
from uuid import UUID

import psycopg
from django.core.files.base import File
from django.db import connection
from django.db.models import QuerySet

from jobs import outbox
from jobs.definition import JobError
from jobs.engine import transfers
from jobs.engine.database import own_connection
from jobs.engine.failed import failed_rows
from jobs.models import ExecutionFile, JobExecution, OutboxMessage, StepWarning
from jobs.places import expand, safe_name

Role = ExecutionFile.Role


class Workspace:
    """Given to a job as `self.workspace`."""

    def __init__(self, execution: JobExecution):
        self._execution = execution
        self._made: list[ExecutionFile] = []
        self._held: list[OutboxMessage] = []

    @property
    def execution_id(self) -> UUID:
        """The id of the execution: with a cursor, an idempotency key for calls to others."""
        return self._execution.pk

    @property
    def told_to(self) -> UUID:
        """The execution whose pages show what becomes of the rows: for a part, its parent."""
        whole = self._execution.partition is not None and self._execution.parent_id
        return whole or self._execution.pk

    def open(self, field: str = "file") -> IO[bytes]:
        """The file given for a file parameter, at its beginning, seekable."""
        return self._input(field).file.open("rb")

    def size(self, field: str = "file") -> int:
        """The size in bytes of the file given for a file parameter."""
        return self._input(field).size

    def name(self, field: str = "file") -> str:
        """The name under which the file was uploaded."""
        return self._input(field).name

    def failed_rows(self) -> frozenset[int] | None:
        """The numbers of the rows to take, when failed rows are taken up again; None for all."""
        return failed_rows(self._execution)

    def left_out(self, rows: Collection[int]) -> set[int]:
        """Which of these rows have failed or were skipped, by the warnings that are committed."""
        whole = self._execution if self._execution.partition is None else self._execution.parent
        written = StepWarning.Outcome.KEPT
        found = StepWarning.objects.filter(execution=whole, row__in=rows).exclude(outcome=written)
        return {row for row in found.values_list("row", flat=True) if row is not None}

    @contextmanager
    def create(self, name: str, role: str = Role.OUTPUT, field: str = "") -> Iterator[Output]:
        """A file to hand to the person who launched the job.

        It counts from the next checkpoint on, or from the end of the step: a crash before leaves
        no trace of it in the tables. A file of the same name is replaced.
        """
        made = ExecutionFile(execution=self._execution, role=role, field=field, name=name)
        with TemporaryDirectory(prefix="millrace-") as folder:
            path = Path(folder, "file")
            with path.open("wb") as target:
                hashing = Output(target)
                yield hashing
            made.size, made.sha256 = hashing.size, hashing.digest.hexdigest()
            with _Finished(path) as finished:
                made.file.save(name, finished, save=False)
        self._made.append(made)

    def fetch(self, context: Any, place: str, path: str, field: str = "file") -> None:
        """Copy a file of a place to storage, where `open(field)` finds it; of a pattern the newest.

        Done once: later attempts, and executions that continue this one, use the copy. Its path,
        size and SHA-256 are the checkpoint. Raises PlaceError, and Unavailable to try again.
        """
        continued = self._execution.continues_id and self._inputs(field).exists()
        if context.cursor is None and not continued:
            transfers.fetch(self, context, place, path, field)

    def deliver(self, context: Any, place: str, path: str) -> None:
        """Write the files made by this execution to a place; those sent already are left out.

        `path` may have %job_label%, %datetime% and %execution%, the same at every attempt; it
        names a folder when it ends in a slash or is empty.
        """
        files = list(self._execution.files.filter(role=Role.OUTPUT).order_by("pk"))
        transfers.deliver(self, context, place, self._expanded(path), files)

    def named(self, pattern: str) -> str:
        """A pattern of a file's name filled in as for `deliver`, and safe as a name."""
        return safe_name(self._expanded(pattern))

    def _expanded(self, pattern: str) -> str:
        definition = self._execution.definition
        return expand(
            pattern,
            job_label=definition.label if definition else self._execution.job,
            at=self._execution.created_at,
            execution=str(self._execution.pk),
        )

    def send_mail(self, key: str, *, to: Sequence[str], subject: str, text: str) -> None:
        """Send a mail once the chunk has committed; called in `write`.

        `key` says which message it is: the same key again, in this execution or in one that
        continues it, is the same message. Raises ValidationError for what cannot be sent.
        """
        self.tell(outbox.mail(key, to=to, subject=subject, text=text))

    def post(self, key: str, url: str, *, json: Any) -> None:
        """POST JSON to another system once the chunk has committed; otherwise like `send_mail`."""
        self.tell(outbox.webhook(key, url, json))

    def tell(self, message: OutboxMessage, *, hold: bool = False) -> None:
        """Write a message in the open transaction; without one, `hold` it to the checkpoint."""
        message.execution = self._execution
        message.dedupe_key = f"{self._chain}:{message.dedupe_key}"
        if connection.in_atomic_block:
            outbox.put([message])
        elif hold:
            self._held.append(message)
        else:
            raise JobError(
                "A message commits with the work that it tells of, and here no transaction is open:"
                " call send_mail() and post() in `write`, or in a step that is a function."
            )

    def log(self, sentence: str) -> None:
        """Say something on the execution's console, with the time."""
        at = datetime.now(UTC).strftime("%H:%M:%S")
        print(f"{at} {sentence}", file=sys.stdout, flush=True)

    @contextmanager
    def own_connection(self) -> Iterator[psycopg.Connection]:
        """A database connection beside Django's, in autocommit; its SQL is cancelled on a stop."""
        with own_connection() as own:
            yield own

    def commit_files(self) -> None:
        """Write the files made and the messages held since the last checkpoint; for the engine."""
        for made in self._made:
            same = {"field": made.field} if made.field else {"name": made.name}
            self._execution.files.filter(role=made.role, **same).delete()
            made.save(force_insert=True)
        self._made.clear()
        if self._held:
            outbox.put(self._held)
            self._held.clear()

    @cached_property
    def _chain(self) -> UUID:
        return outbox.chain_of(self._execution)

    def _input(self, field: str) -> ExecutionFile:
        return self._inputs(field).get()

    def _inputs(self, field: str) -> QuerySet[ExecutionFile]:
        return self._execution.files.filter(role=Role.INPUT, field=field)


class _Finished(File):
    """A file on this machine's disk that a local storage may move instead of copying."""

    def __init__(self, path: Path):
        super().__init__(path.open("rb"))
        self._path = str(path)

    def temporary_file_path(self) -> str:
        return self._path


class Output:
    """A binary file that counts and hashes what is written to it."""

    def __init__(self, target: IO[bytes]):
        self._target, self.size, self.digest = target, 0, hashlib.sha256()

    def write(self, block: bytes) -> int:
        self.digest.update(block)
        self.size += len(block)
        return self._target.write(block)

    def flush(self) -> None:
        self._target.flush()
