"""Rows that failed, sent back corrected: the same import once more, with another file."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import File
from django.http import HttpRequest

from jobs import control
from jobs.definition import find
from jobs.models import JobExecution
from jobs.parameters import file_fields
from jobs.permissions import Decision, may

FORMATS = [("xlsx", "XLSX"), ("csv", "CSV"), ("jsonl", "JSON lines"), ("json", "JSON")]
FOUND_ANEW = ("format", "sheet")  # the file may come back as another one
NOT_AGAIN = ("place", "path")  # the file is sent, not fetched


class RejectedFile:
    """The rows of an execution that failed, as a file to be corrected and sent back."""

    def __init__(self, request: HttpRequest, execution: JobExecution):
        self.user: User = request.user  # type: ignore[assignment]
        self.execution = execution
        self.once = uuid.uuid4().hex

    @cached_property
    def count(self) -> int:
        return sum(step.failed for step in self.execution.steps.all())

    @cached_property
    def is_there(self) -> bool:
        """Whether any row was kept as it stood in the file."""
        return bool(self.count) and self.execution.rejected_rows.exists()

    formats = FORMATS

    @cached_property
    def comes_back(self) -> Decision:
        """Whether a corrected file can be sent now."""
        if not self.execution.is_finished:
            return Decision(False, "Send it back when this has ended.")
        if not takes_files(self.execution):
            return Decision(False, "This job takes no file.")
        return may_send_back(self.user, self.execution)


def takes_files(execution: JobExecution) -> bool:
    """Whether its job reads one file of rows."""
    return execution.definition is not None and file_fields(execution.definition) == ["file"]


def may_send_back(user: User, execution: JobExecution) -> Decision:
    """Whether `user` may launch the same import with another file."""
    target = execution.profile or execution.definition
    if target is None:
        return Decision(False, f"The job {execution.job!r} is no longer installed.")
    return may(user, "launch", target)


def send_back(execution: JobExecution, file: File, user: User, key: str) -> JobExecution:
    """Launch it with the corrected file. Raises Denied, Refused and InvalidParameters."""
    upload = control.upload(file, user=user)
    return control.launch(
        profile=execution.profile,
        job=execution.job,
        parameters=_parameters(execution) | {"file": str(upload.pk)},
        user=user,
        trigger="web",
        note=f"Corrected rows of {execution.pk}",
        idempotency_key=f"web-{key}",
    )


def _parameters(execution: JobExecution) -> dict[str, Any]:
    """Its parameters; what kind of file the corrected one is, is found anew."""
    fields = find(execution.job).Parameters.base_fields
    locked = execution.profile.locked if execution.profile else []
    kept = execution.parameters | dict.fromkeys((*FOUND_ANEW, *NOT_AGAIN), "")
    return {name: value for name, value in kept.items() if name in fields and name not in locked}
