"""Ledger, dry run and undo by real workers that are killed and stopped anywhere."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db.models import Count, Q

from catalog.models import Product
from jobs import control
from jobs.engine.database import own_connection
from jobs.models import JobExecution, RowChange
from jobs.states import Status
from tests.fleet import finished, until

ROWS = 20_000
BAD = 5  # a few rows have a price that only the database refuses
PADDING = "x" * 200  # so that the file has many chunks
Launch = Callable[..., JobExecution]


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex[:8]


@pytest.fixture
def launch_import(prefix: str) -> Launch:
    """Launch an import with a ledger; its keys begin with the test's prefix."""

    def launched(
        name: str = "One", job: str = "catalog.product.import", **parameters: Any
    ) -> JobExecution:
        lines = ["sku;name;price-EUR"]
        lines += [
            f"{prefix}-{n:06};{name} {n} {PADDING};{'-' if n % 4000 == 50 else ''}{n}.25"
            for n in range(ROWS)
        ]
        content = ContentFile("\n".join(lines).encode(), name="products.csv")
        given = {"ledger": True, "file": str(control.upload(content, user=None).pk)}
        return control.launch(job=job, parameters=given | parameters)

    return launched


def has_begun(execution: JobExecution, rows: int = 0) -> JobExecution:
    """Wait for its first chunk, or until it has done more than so many rows."""
    done = Q(created__gt=rows) | Q(updated__gt=rows) | Q(deleted__gt=rows)
    return until(execution, lambda e: e.pid and e.steps.filter(done).exists())


@contextmanager
def held(prefix: str, number: int) -> Iterator[None]:
    """Another session holds a row, so that nobody comes past it."""
    with own_connection() as other, other.transaction(force_rollback=True):
        sku = f"{prefix}-{number:06}"
        other.execute("SELECT FROM catalog_product WHERE sku = %s FOR UPDATE", [sku])
        yield


def table(prefix: str) -> list[tuple]:
    rows = Product.objects.filter(sku__startswith=prefix).order_by("pk")
    return list(rows.values_list("pk", "sku", "name", "price_eur", "enabled", "values"))


def lines(execution: JobExecution) -> dict[str, int]:
    found = RowChange.objects.filter(execution=execution).values("outcome")
    return {one["outcome"]: one["n"] for one in found.annotate(n=Count("row", distinct=True))}


def assert_exact(execution: JobExecution) -> None:
    """One line for each row that was not refused."""
    step = execution.steps.get()
    counted = {
        name: n for name in ("created", "updated", "unchanged") if (n := getattr(step, name))
    }
    assert lines(execution) == counted
    assert RowChange.objects.filter(execution=execution).count() == step.kept == ROWS - BAD
    assert step.failed == BAD


def test_the_ledger_is_exact_through_kill_9(worker, launch_import, prefix):
    execution = has_begun(launch_import())
    os.kill(execution.pid, signal.SIGKILL)
    assert finished(execution, 60).status == Status.COMPLETED
    assert execution.attempt == 2
    assert_exact(execution)
    targets = RowChange.objects.filter(execution=execution).values_list("target", flat=True)
    assert {int(target) for target in targets} == {row[0] for row in table(prefix)}


def test_parts_write_the_ledger_of_their_parent(worker, launch_import, prefix):
    execution = launch_import(job="samples.split_import")
    until(execution, lambda e: e.children.filter(checkpoints__gt=1, pid__isnull=False).exists())
    part = execution.children.filter(checkpoints__gt=1, pid__isnull=False).first()
    os.kill(part.pid, signal.SIGKILL)
    assert finished(execution, 90).status == Status.COMPLETED, execution.error
    assert_exact(execution)
    assert not RowChange.objects.filter(execution__in=execution.children.all()).exists()
    undo = finished(control.undo(execution), 60)
    assert undo.steps.get().deleted == ROWS - BAD
    assert table(prefix) == []


def test_a_dry_run_that_is_killed_begins_anew(worker, launch_import, prefix):
    execution = has_begun(launch_import(dry_run=True))
    os.kill(execution.pid, signal.SIGKILL)
    assert finished(execution, 60).status == Status.COMPLETED, execution.error
    assert execution.attempt == 2
    step = execution.steps.get()
    assert (step.created, step.failed, step.warnings_count) == (ROWS - BAD, BAD, BAD)
    assert execution.warnings_count == execution.warnings.count() == BAD
    assert execution.rejected_rows.count() == BAD
    assert lines(execution) == {"created": 100}
    assert table(prefix) == []


def test_an_import_and_its_undo_are_stopped_half_way(worker, launch_import, prefix):
    finished(launch_import())
    before = table(prefix)
    with held(prefix, 12_000):
        second = has_begun(launch_import("Two"), 8_000)
        control.stop(second)
    assert finished(second).status == Status.STOPPED
    assert table(prefix) != before
    with held(prefix, second.steps.get().processed - 7_500):  # in its second chunk
        undo = has_begun(control.undo(second))
        control.stop(undo)
    assert finished(undo).status == Status.STOPPED
    assert undo.steps.get().processed < second.steps.get().kept
    rest = finished(control.continue_(undo), 60)
    assert rest.status == Status.COMPLETED, rest.error
    assert rest.steps.get().skipped == 0
    assert table(prefix) == before


def test_an_undo_is_exact_through_kill_9(worker, launch_import, prefix):
    finished(launch_import())
    before = table(prefix)
    second = finished(launch_import("Two"))
    changed = second.steps.get().updated
    with held(prefix, ROWS // 2):
        undo = has_begun(control.undo(second))
        os.kill(undo.pid, signal.SIGKILL)
    assert finished(undo, 60).status == Status.COMPLETED, undo.error
    step = undo.steps.get()
    assert (undo.attempt, step.updated, step.skipped) == (2, changed, 0)
    assert RowChange.objects.filter(execution=undo).values("target").distinct().count() == changed
    assert table(prefix) == before
