"""Imports of every format by real workers that are killed in the middle of the file."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from jobs import control
from jobs.engine.database import own_connection
from jobs.engine.staged import LARGEST
from jobs.formats.writing import Passing, gzipped, member, open_writer, zipped
from jobs.formats.written import NUMBER, WrittenColumn
from jobs.models import JobExecution
from jobs.states import Status
from tests.fleet import celery_worker, eventually, finished, until

FORMATS = ("xlsx", "jsonl", "json", "parquet", "csv.gz", "csv.zip")
AT_ONCE = ("xlsx", "json", "parquet")
ROWS = 4 * LARGEST + 100  # more than four chunks, however large they are
HELD = 2 * LARGEST + 2  # a row behind the first two chunks, and a good one
UNKNOWN = {n + 1 for n in range(50, ROWS, 2000)}  # rows whose family does not exist
REFUSED = {n + 1 for n in range(70, ROWS, 3000)}  # rows whose price only the database refuses
BAD = UNKNOWN | REFUSED
COLUMNS = [WrittenColumn("sku"), WrittenColumn("family"), WrittenColumn("price-EUR", NUMBER, 9, 2)]


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex[:8]


@pytest.fixture
def launch_import(prefix: str) -> Callable[[str, str], JobExecution]:
    """Launch the import of a file in a format; its keys begin with the test's prefix and that."""

    def launched(form: str, queue: str = "default") -> JobExecution:
        content = ContentFile(file_of(form, f"{prefix}-{form}"), name=f"products.{form}")
        parameters = {"file": str(control.upload(content, user=None).pk)}
        execution = control.launch(
            job="catalog.product.import", parameters=parameters, deferred=True
        )
        JobExecution.objects.filter(pk=execution.pk).update(queue=queue)
        execution.refresh_from_db()
        return control.activate(execution)

    return launched


def file_of(form: str, prefix: str) -> bytes:
    """The content of a file with all rows, packed where the format says so."""
    kind, _, packed = form.partition(".")
    target = Passing()
    with ExitStack() as stack:
        inner = target
        if packed == "gz":
            inner = stack.enter_context(gzipped(target))
        elif packed == "zip":
            inner = stack.enter_context(member(stack.enter_context(zipped(target)), "rows.csv"))
        writer = stack.enter_context(open_writer(kind, inner, COLUMNS))
        writer.write([row_of(prefix, number) for number in range(1, ROWS + 1)])
    return target.take()


def row_of(prefix: str, number: int) -> tuple[str, str, str]:
    sign = "-" if number in REFUSED else ""
    return f"{prefix}-{number:06}", "nobody" if number in UNKNOWN else "", f"{sign}{number}.25"


@contextmanager
def held(prefix: str) -> Iterator[None]:
    """Another session is about to make a row behind the second chunk: nobody comes past it."""
    insert = """INSERT INTO catalog_product
        (sku, name, enabled, values, links, created_at, updated_at)
        VALUES (%s, '', TRUE, '{}', '{}', now(), now())"""
    with own_connection() as other, other.transaction(force_rollback=True):
        other.execute(insert, [f"{prefix}-{HELD:06}"])
        yield


def waits_for_the_row(execution: JobExecution) -> JobExecution:
    """The execution when it has committed what is before the held row, and waits for that."""
    until(execution, lambda e: e.checkpoints > 1 and e.pid, 60)
    eventually(lambda: _waits(execution), "the merge of its next chunk waits for the row", 60)
    execution.refresh_from_db()
    return execution


def _waits(execution: JobExecution) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND application_name LIKE %s",
            [f"millrace {execution.pk}.%"],
        )
        return cursor.fetchone() is not None


def versions(prefix: str) -> dict[str, tuple]:
    """The rows that are there by their keys, with the transactions that wrote them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sku, id, xmin::text FROM catalog_product WHERE sku LIKE %s", [f"{prefix}-%"]
        )
        return {sku: tuple(rest) for sku, *rest in cursor.fetchall()}


def assert_went_on(execution: JobExecution, prefix: str, before: dict[str, tuple]) -> None:
    """Every row is there and reported once, and those of the first attempt were left alone."""
    assert execution.status == Status.COMPLETED, execution.error
    assert execution.attempt == 2
    step = execution.steps.get()
    assert (step.processed, step.created, step.failed) == (ROWS, ROWS - len(BAD), len(BAD))
    assert step.warnings_count == len(BAD)
    assert sorted(execution.warnings.values_list("row", flat=True)) == sorted(BAD)
    assert sorted(execution.rejected_rows.values_list("row", flat=True)) == sorted(BAD)
    good = {f"{prefix}-{number:06}" for number in range(1, ROWS + 1) if number not in BAD}
    after = versions(prefix)
    assert set(after) == good
    assert 0 < len(before) < ROWS // 2 + LARGEST
    assert before.items() <= after.items()


@pytest.mark.parametrize("form", FORMATS)
def test_after_kill_9_of_its_job_a_file_is_read_on(worker, launch_import, prefix, form):
    mark = f"{prefix}-{form}"
    with held(mark):
        execution = waits_for_the_row(launch_import(form))
        before = versions(mark)
        os.kill(execution.pid, signal.SIGKILL)
        until(execution, lambda e: e.attempt == 2)
    assert_went_on(finished(execution, 60), mark, before)


def test_after_kill_9_of_the_worker_all_its_files_are_read_on(
    controller, variables, launch_import, prefix, own_queue, tmp_path
):
    marks = {form: f"{prefix}-{form}" for form in AT_ONCE}
    with ExitStack() as rows, celery_worker(variables, tmp_path, own_queue, len(AT_ONCE)) as first:
        for mark in marks.values():
            rows.enter_context(held(mark))
        launched = [launch_import(form, own_queue) for form in AT_ONCE]
        found = [waits_for_the_row(execution) for execution in launched]
        before = {mark: versions(mark) for mark in marks.values()}
        first.kill()
    with celery_worker(variables, tmp_path, own_queue, len(AT_ONCE)):
        for form, execution in zip(AT_ONCE, found, strict=True):
            assert_went_on(finished(execution, 90), marks[form], before[marks[form]])
