"""A real import by a real worker: interrupted anywhere, every row is there exactly once."""

from __future__ import annotations

import os
import signal
import uuid
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from catalog.models import Product
from jobs import control
from jobs.engine.database import own_connection
from jobs.models import JobExecution
from jobs.states import Status
from tests.fleet import celery_worker, eventually, finished, parent_of, until

ROWS = 40_000
BAD = 400  # one row in a hundred names a family that does not exist


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex[:8]


@pytest.fixture
def launch_import(prefix: str):
    """Launch the import of a generated file whose keys begin with the test's prefix."""

    def launched(
        queue: str = "default",
        name: str = "One",
        rows: int = ROWS,
        job: str = "catalog.product.import",
        **parameters: Any,
    ) -> JobExecution:
        lines = ["sku;name;enabled;family;price-EUR"]
        lines += [
            f"{prefix}-{n:06};{name} {n};1;{'nobody' if n % 100 == 50 else ''};{n / 100:.2f}"
            for n in range(rows)
        ]
        content = ContentFile("\n".join(lines).encode(), name="products.csv")
        upload = control.upload(content, user=None)
        execution = control.launch(
            job=job, parameters={"file": str(upload.pk), **parameters}, deferred=True
        )
        JobExecution.objects.filter(pk=execution.pk).update(queue=queue)
        execution.refresh_from_db()
        return control.activate(execution)

    return launched


def assert_all_there(execution: JobExecution, prefix: str, attempts: int | None = None) -> None:
    assert execution.status == Status.COMPLETED, execution.error
    step = execution.steps.get()
    assert (step.created, step.failed, step.processed) == (ROWS - BAD, BAD, ROWS)
    assert step.warnings_count == execution.warnings.count() == BAD
    assert execution.warnings.values("row").distinct().count() == BAD
    assert Product.objects.filter(sku__startswith=prefix).count() == ROWS - BAD
    if attempts:
        assert execution.attempt == attempts


def in_the_middle(execution: JobExecution) -> JobExecution:
    return until(execution, lambda e: e.checkpoints >= 2 and e.pid)


def test_an_import_reports_every_row(worker, launch_import, prefix):
    execution = finished(launch_import())
    assert_all_there(execution, prefix, attempts=1)
    warning = execution.warnings.order_by("row").first()
    assert (warning.row, warning.column, warning.value) == (51, "family", "nobody")
    again = finished(launch_import()).steps.get()
    assert (again.unchanged, again.updated, again.failed) == (ROWS - BAD, 0, BAD)


def test_kill_9_of_the_job_in_mid_import(worker, launch_import, prefix):
    execution = in_the_middle(launch_import())
    os.kill(execution.pid, signal.SIGKILL)
    assert_all_there(finished(execution, 40), prefix, attempts=2)


def test_kill_9_of_the_supervisor_in_mid_import(
    controller, variables, launch_import, prefix, own_queue, tmp_path
):
    with celery_worker(variables, tmp_path, own_queue):
        execution = in_the_middle(launch_import(own_queue))
        os.kill(parent_of(execution.pid), signal.SIGKILL)
        assert_all_there(finished(execution, 40), prefix, attempts=2)


def test_kill_9_of_the_worker_in_mid_import(
    controller, variables, launch_import, prefix, own_queue, tmp_path
):
    with celery_worker(variables, tmp_path, own_queue) as first:
        execution = in_the_middle(launch_import(own_queue))
        first.kill()
    with celery_worker(variables, tmp_path, own_queue):
        assert_all_there(finished(execution, 40), prefix, attempts=2)


def test_a_stopped_import_keeps_whole_chunks_and_says_so(worker, launch_import, prefix):
    execution = in_the_middle(launch_import())
    control.stop(execution)
    finished(execution)

    assert execution.status == Status.STOPPED
    assert (execution.finished_at - execution.stop_requested_at).total_seconds() < 1.5
    step = execution.steps.get()
    assert 0 < step.processed < ROWS
    assert Product.objects.filter(sku__startswith=prefix).count() == step.created
    assert control.receipt(execution)["text"].startswith("Stopped in ")
    assert f"{step.kept:,} items" in control.receipt(execution)["text"]


def sessions_of(execution: JobExecution) -> list[tuple[str, str]]:
    """What the sessions of its job process are doing, and what they wait for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, wait_event_type FROM pg_stat_activity WHERE application_name LIKE %s",
            [f"millrace {execution.pk}.%"],
        )
        return sorted(cursor.fetchall(), key=str)


def test_while_a_merge_waits_for_a_lock_no_transaction_is_idle(worker, launch_import, prefix):
    insert = """INSERT INTO catalog_product
        (sku, name, enabled, values, links, created_at, updated_at)
        VALUES (%s, '', TRUE, '{}', '{}', now(), now())"""
    with own_connection() as other, other.transaction(force_rollback=True):
        other.execute(insert, [f"{prefix}-000001"])
        execution = launch_import()
        waiting = [("active", "Lock"), ("idle", "Client"), ("idle", "Client")]
        eventually(lambda: sessions_of(execution) == waiting, "one chunk waits, one is staged")
    assert_all_there(finished(execution), prefix, attempts=1)


def test_an_import_in_parts_takes_every_row_once(worker, launch_import, prefix):
    execution = finished(launch_import(job="samples.split_import"), 60)
    assert execution.children.count() == 3
    assert all(child.steps.get().created > 10_000 for child in execution.children.all())
    assert_all_there(execution, prefix)
    again = finished(launch_import(job="samples.split_import"), 60).steps.get()
    assert (again.unchanged, again.updated, again.failed) == (ROWS - BAD, 0, BAD)


def test_a_part_killed_in_mid_import_goes_on(worker, launch_import, prefix):
    execution = launch_import(job="samples.split_import")
    until(execution, lambda e: e.children.filter(checkpoints__gt=1, pid__isnull=False).exists())
    part = execution.children.filter(checkpoints__gt=1, pid__isnull=False).first()
    os.kill(part.pid, signal.SIGKILL)
    assert_all_there(finished(execution, 60), prefix)


def test_failed_rows_of_an_import_are_taken_up_again(worker, launch_import, prefix):
    first = finished(launch_import(rows=1000))
    again = finished(control.retry_failed(first))
    step = again.steps.get()
    assert (step.processed, step.failed, step.total) == (10, 10, 10)
    rows = set(first.warnings.values_list("row", flat=True))
    assert set(again.warnings.values_list("row", flat=True)) == rows


def test_a_stopped_import_is_continued_behind_its_last_row(worker, launch_import, prefix):
    first = in_the_middle(launch_import())
    control.stop(first)
    kept = finished(first).steps.get()
    second = finished(control.continue_(first), 40)
    assert second.status == Status.COMPLETED, second.error
    step = second.steps.get()
    assert step.carried == kept.processed
    assert (step.carried + step.processed, kept.created + step.created) == (ROWS, ROWS - BAD)
    assert Product.objects.filter(sku__startswith=prefix).count() == ROWS - BAD


def test_an_import_through_the_model_goes_on_after_kill_9(worker, launch_import, prefix):
    execution = in_the_middle(launch_import(rows=300, validation="model"))
    os.kill(execution.pid, signal.SIGKILL)
    done = finished(execution, 90)
    assert done.status == Status.COMPLETED, done.error
    step = done.steps.get()
    assert (step.created, step.failed, step.processed) == (297, 3, 300)
    assert done.warnings.count() == done.rejected_rows.count() == 3
    assert Product.objects.filter(sku__startswith=prefix).count() == 297
    assert done.attempt == 2


def test_too_many_failed_rows_end_an_import_behind_whole_chunks(worker, launch_import, prefix):
    done = finished(launch_import(max_failed=150), 60)
    assert done.status == Status.FAILED
    step = done.steps.get()
    assert done.error.startswith(f"{step.failed:,} of {step.processed:,} rows failed, more than")
    assert 150 < step.failed < BAD
    assert step.failed == done.warnings.count() == done.rejected_rows.count()
    assert Product.objects.filter(sku__startswith=prefix).count() == step.created
    created, rounds = step.created, 0
    while done.status == Status.FAILED:  # what continues it counts anew
        done = finished(control.continue_(done), 60)
        step = done.steps.get()
        created, rounds = created + step.created, rounds + 1
    assert (step.carried + step.processed, created) == (ROWS, ROWS - BAD)
    assert rounds <= BAD // 150


def test_the_failed_rows_of_all_parts_count_against_the_limit(worker, launch_import, prefix):
    done = finished(launch_import(job="samples.split_import", max_failed=200), 60)
    assert done.status == Status.FAILED
    assert "more than the 200 that may" in done.error
    step = done.steps.get()
    assert 200 < step.failed == done.warnings.count()
    parts = [part.steps.get().failed for part in done.children.all()]
    assert max(parts) <= 200  # no part had so many alone


def test_duplicates_are_told_once_after_a_kill(worker, prefix):
    lines = [f"{prefix}-{n % 30_000:06};{n:0250}" for n in range(ROWS)]
    content = ContentFile("\n".join(["sku;name", *lines]).encode(), name="double.csv")
    upload = control.upload(content, user=None)
    execution = control.launch(job="catalog.product.import", parameters={"file": str(upload.pk)})
    os.kill(in_the_middle(execution).pid, signal.SIGKILL)
    done = finished(execution, 60)
    assert done.status == Status.COMPLETED, done.error
    told = done.warnings.filter(code="overwritten")
    assert told.exclude(row=None).count() == 1000
    assert told.get(row=None).message == "Of 10,000 overwritten rows 1,000 are listed."
    assert told.exclude(row=None).values("row").distinct().count() == 1000
