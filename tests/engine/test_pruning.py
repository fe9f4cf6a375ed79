"""Pruning beside launches, on connections of their own, and by a real worker."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from jobs import control, retention
from jobs.control import launching
from jobs.models import ExecutionFile, JobExecution, Upload
from jobs.models.base import first_id
from jobs.states import Status
from tests.fleet import finished, until


def uploaded() -> Upload:
    return control.upload(ContentFile(b"x", name="a.csv"), user=None)


def given(upload: Upload) -> JobExecution:
    """An execution that is stored with the upload as its file, as a launch does it."""
    execution = JobExecution(
        name="It", job="samples.function", type="other", status=Status.DEFERRED
    )
    return launching.store(execution, {"file": upload})


def beside(work: Callable[[], Any]) -> Any:
    """Do it in a thread with a connection of its own; returns what it returned."""
    found: list[Any] = []

    def run() -> None:
        try:
            with transaction.atomic():
                found.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for a lock"
    return found[0]


def prune(upload: Upload) -> int:
    found = beside(lambda: retention.delete_still(unused(), [upload.pk]).deleted)
    beside(lambda: retention.discard_files([upload.file.name]))
    return found


def unused() -> Any:
    """Uploads of any age that nothing uses."""
    used = ExecutionFile.objects.values("file")
    return Upload.objects.exclude(file__in=used)


def test_an_upload_that_is_being_launched_with_stays():
    upload = uploaded()
    with transaction.atomic():
        execution = given(upload)
        assert prune(upload) == 0
    assert default_storage.exists(execution.files.get().file.name)


def test_without_the_lock_a_launch_would_lose_its_file(monkeypatch):
    monkeypatch.setattr(launching, "_hold", lambda _: None)
    upload = uploaded()
    with transaction.atomic():
        execution = given(upload)
        assert prune(upload) == 1
    assert not default_storage.exists(execution.files.get().file.name)


def test_a_launch_with_an_upload_that_has_just_gone_is_refused():
    upload = uploaded()
    assert prune(upload) == 1
    with pytest.raises(control.InvalidParameters, match="has just been deleted"):
        given(upload)
    assert not ExecutionFile.objects.filter(file=upload.file.name).exists()


def test_what_was_continued_since_it_was_found_stays():
    first = given(uploaded())
    old = JobExecution.objects.filter(continued_by=None)
    found = list(old.filter(pk=first.pk).values_list("pk", flat=True))
    JobExecution.objects.create(name="Next", job=first.job, type="other", continues=first)
    assert beside(lambda: retention.delete_still(old, found).deleted) == 0
    assert JobExecution.objects.filter(pk=first.pk).exists()


def test_a_worker_goes_on_pruning_where_another_was_killed(worker, launch):
    nine_years = timedelta(days=9 * 365)  # older than anything that other tests have made
    base = first_id(timezone.now() - nine_years).int
    made = JobExecution.objects.bulk_create(
        JobExecution(
            pk=uuid.UUID(int=base + number), name="Old", job="samples.function", type="other",
            status=Status.STOPPED, finished_at=timezone.now() - nine_years,
        )
        for number in range(600)
    )  # fmt: skip
    execution = launch("jobs.prune", older_than_days=3000)
    until(execution, lambda e: e.pid and e.steps.filter(name="executions", deleted__gt=0).exists())
    os.kill(execution.pid, signal.SIGKILL)
    finished(execution, 40)
    assert (execution.status, execution.attempt) == (Status.COMPLETED, 2), execution.error
    assert execution.steps.get(name="executions").deleted == len(made)
    assert not JobExecution.objects.filter(name="Old").exists()
