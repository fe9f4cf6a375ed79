"""What a function step is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from jobs import outbox
from jobs.definition import Counters, JobError
from jobs.engine import checkpoint
from jobs.engine.children import Join, launch_child
from jobs.engine.database import raw_cursor
from jobs.engine.lease import Lease
from jobs.engine.workspace import Workspace
from jobs.models import JobExecution, StepExecution
from jobs.states import OPEN


class Context:
    """A function step's view of its execution."""

    def __init__(
        self, record: StepExecution, lease: Lease, workspace: Workspace, *, atomic: bool = True
    ):
        self._record, self._lease, self._atomic = record, lease, atomic
        self.workspace = workspace
        self._open: transaction.Atomic | None = None

    @property
    def cursor(self) -> Any:
        """Where the last checkpoint left off, or None at the first."""
        return self._record.cursor

    @property
    def attempt(self) -> int:
        """The number of this attempt at the execution, from 1."""
        return self._lease.attempt

    def checkpoint(
        self,
        cursor: Any = None,
        *,
        processed: int = 0,
        total: int | None = None,
        **counters: int,
    ) -> None:
        """Save the work since the last checkpoint with its progress, in one transaction.

        `cursor` is where to go on from, as JSON; without one the step would begin anew.
        `processed` counts items as done; `created=`, `updated=`, `skipped=` … count them as that.
        Here a pause, a stop, a deploy or the time limit takes effect.
        """
        self.begin()
        counted = Counters(**counters)
        counted.done += processed
        with raw_cursor() as sql:
            self.workspace.commit_files()
            checkpoint.save(sql, self._lease, self._record, cursor, counters=counted, total=total)
        self.commit()
        self._lease.check()
        if self._atomic:
            self.begin()

    def check(self) -> None:
        """Let a pause, a stop or a deploy take effect here; nothing is saved."""
        self._lease.check()

    @contextmanager
    def unstoppable(self, name: str, max_seconds: float) -> Iterator[None]:
        """Work that a stop waits for, at most so long; people read the name while they wait.

        A stop that was asked for before takes effect here, before the work begins.
        """
        with self._lease.section(name, max_seconds):
            yield

    def launch(
        self,
        *,
        job: str | None = None,
        profile: str | None = None,
        parameters: dict[str, Any] | None = None,
        name: str = "",
    ) -> JobExecution:
        """Launch a child, as the person who launched this execution; it begins at the checkpoint.

        This execution is completed when its children have ended, and is stopped with them. One
        that did not complete becomes a warning; to decide otherwise, `join()` and look at
        `children()`. Raises JobError when it cannot be launched.
        """
        if not self._atomic:
            raise JobError("A step that is not atomic cannot launch children.")
        self._lease.has_launched = True
        return launch_child(
            self._lease.execution, job=job, profile=profile, parameters=parameters, name=name
        )

    def join(self, cursor: Any) -> None:
        """A checkpoint at which the execution waits for its children, without holding a worker.

        When the last has ended, the function is called again, with `cursor`.
        """
        self.checkpoint(cursor)
        if self.children().filter(status__in=OPEN).exists():
            raise Join

    def children(self) -> QuerySet[JobExecution]:
        """The executions that this one has launched."""
        return self._lease.execution.children.filter(parent_step="")

    def send_mail(self, key: str, *, to: Sequence[str], subject: str, text: str) -> None:
        """Send a mail once the next checkpoint, or the end of the step, has committed.

        `key` says which message it is: the same key again, in this execution or in one that
        continues it, is the same message. Raises ValidationError for what cannot be sent.
        """
        message = outbox.mail(key, to=to, subject=subject, text=text)
        self.workspace.tell(message, hold=not self._atomic)

    def post(self, key: str, url: str, *, json: Any) -> None:
        """POST JSON to another system once the checkpoint has committed; like `send_mail`."""
        self.workspace.tell(outbox.webhook(key, url, json), hold=not self._atomic)

    def log(self, sentence: str) -> None:
        """Say something on the execution's console."""
        self.workspace.log(sentence)

    def iterate(self, rows: QuerySet, *, page: int = 500) -> Iterator[Model]:
        """Rows in primary-key order from behind the cursor, one query a page.

        It survives checkpoints, where a database cursor would not.
        """
        after = self.cursor
        rows = rows.order_by("pk")
        while True:
            found = list((rows if after is None else rows.filter(pk__gt=after))[:page])
            for row in found:
                after = row.pk
                yield row
            if len(found) < page:
                return

    def begin(self) -> None:
        """Open the transaction that reaches to the next checkpoint; the engine calls it."""
        if self._open is None:
            self._open = transaction.atomic()
            self._open.__enter__()

    def commit(self) -> None:
        """Commit it; the engine calls it."""
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None

    def roll_back(self, error: BaseException) -> None:
        """Undo what was done since the last checkpoint; the engine calls it."""
        if self._open is not None:
            opened, self._open = self._open, None
            opened.__exit__(type(error), error, error.__traceback__)
