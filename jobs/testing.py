"""For the tests of one's own jobs."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile

from jobs import control
from jobs.engine.claim import claim
from jobs.engine.recover import close_console
from jobs.engine.runner import run
from jobs.models import JobExecution


def run_now(
    job: str,
    parameters: dict[str, Any] | None = None,
    files: dict[str, bytes | tuple[str, bytes]] | None = None,
    *,
    user: Any = None,
) -> JobExecution:
    """Launch a job by its name and run it here: no broker, no fork, inside a test's transaction.

    `files` are the contents of file parameters, or (name, contents). Returns the execution as it
    ended; look at its `status`, `error`, `result`, `steps`, `warnings` and `files`.
    """
    given = dict(parameters or {})
    for field, contents in (files or {}).items():
        name, data = contents if isinstance(contents, tuple) else (f"{field}.csv", contents)
        given[field] = str(control.upload(ContentFile(data, name=name), user=user).pk)
    execution = control.launch(job=job, parameters=given, user=user, trigger="test")
    claimed = claim(str(execution.pk), "test")
    if claimed is None:
        raise RuntimeError(f"“{execution.name}” could not be started: {execution.error}")
    run(claimed, forked=False)
    close_console(claimed, claimed.attempt)
    execution.refresh_from_db()
    return execution
