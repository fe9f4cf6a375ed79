"""Statistics that lie do not make imports, dry runs and undos join all rows with all rows.

PostgreSQL counts the rows of a table now and then. After a dry run it may believe for a long time
that there are none, however many come: these tests tell it so, and count what its plans then do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from catalog.models import Category
from jobs import control
from jobs.engine.claim import claim
from jobs.engine.runner import run
from jobs.models import JobExecution
from jobs.states import Status
from jobs.testing import run_now

pytestmark = pytest.mark.django_db
PRODUCTS, CATEGORIES = "catalog.product.import", "catalog.category.import"
ROWS = 3_000
MOST = 20 * ROWS  # that a part of a plan handles; all with all would be 3,000 times as many
TABLES = ("catalog_product", "catalog_product_categories", "catalog_category", "jobs_rowchange")


def believe(rows: int) -> None:
    """Have PostgreSQL plan as if each table had so many rows."""
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                "SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', %s::text,"
                " 'relpages', 1000, 'reltuples', %s::real)",
                [table, rows],
            )


@pytest.fixture(autouse=True)
def plans() -> Iterator[list[str]]:
    """The plans of all but the shortest statements; none may have handled too many rows."""
    seen: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute("LOAD 'auto_explain'")
        for name, value in {
            "log_min_duration": "2", "log_analyze": "on", "log_timing": "off",
            "log_format": "json", "log_level": "notice",
        }.items():  # fmt: skip
            cursor.execute(f"SET LOCAL auto_explain.{name} = '{value}'")

    def notice(diagnostic: Any) -> None:
        if diagnostic.message_primary.startswith("duration:"):
            seen.append(diagnostic.message_primary)

    connection.connection.add_notice_handler(notice)
    believe(0)
    yield seen
    connection.connection.remove_notice_handler(notice)
    explained = [json.loads(each[each.index("{") :]) for each in seen]
    assert any("staging_" in each["Query Text"] for each in explained)
    for each in explained:
        handled, node = max(_handled(each["Plan"]))
        assert handled <= MOST, f"{node} of {handled:,.0f} rows in {each['Query Text'][:2000]}"


def _handled(node: dict[str, Any]) -> Iterator[tuple[float, str]]:
    """How many rows each part of a plan has looked at."""
    looked_at = [
        count for name, count in node.items() if name.startswith(("Actual Rows", "Rows Removed"))
    ]
    yield node["Actual Loops"] * sum(looked_at), node["Node Type"]
    for each in node.get("Plans", ()):
        yield from _handled(each)


@pytest.fixture
def codes() -> list[str]:
    """The codes of some categories."""
    made = Category.objects.bulk_create(Category(code=f"c{n}") for n in range(20))
    return [category.code for category in made]


def imported(text: str, job: str = PRODUCTS, name: str = "a.csv", **given: Any) -> JobExecution:
    return done(run_now(job, {"ledger": True} | given, {"file": (name, text.encode())}))


def undone(execution: JobExecution, **options: Any) -> JobExecution:
    control.undo_preview(execution, **options)
    claimed = claim(str(control.undo(execution, **options).pk), "test")
    assert claimed
    run(claimed, forked=False)
    claimed.refresh_from_db()
    return done(claimed)


def done(execution: JobExecution) -> JobExecution:
    assert execution.status == Status.COMPLETED, execution.error_detail or execution.error
    assert execution.steps.get().processed >= ROWS
    return execution


def products(codes: list[str], name: str = "One") -> str:
    """Products in two categories each, others with another name."""
    lines = [
        f"s{n:06};{name} {n};{codes[n % 20]},{codes[(n + len(name)) % 20]}" for n in range(ROWS)
    ]
    return "\n".join(["sku;name;categories", *lines])


def tree(label: str = "One") -> str:
    """Categories of which each but the first has a parent."""
    lines = [f"t{n:06};{f't{n // 10:06}' if n else ''};{label}" for n in range(ROWS)]
    return "\n".join(["code;parent;label-en_US", *lines])


@pytest.mark.parametrize("mode", ["upsert", "create"])
def test_new_rows(codes, mode):
    assert imported(products(codes), mode=mode).steps.get().created == ROWS


@pytest.mark.parametrize("mode", ["upsert", "update"])
@pytest.mark.parametrize("rows", [0, 10_000_000])
def test_changed_rows_that_are_undone(codes, mode, rows):
    imported(products(codes))
    believe(rows)
    changed = imported(products(codes, "Another"), mode=mode)
    assert changed.steps.get().updated == ROWS
    believe(rows)
    assert undone(changed).steps.get().updated == ROWS


def test_records_that_lack_keys():
    records = [{"sku": f"s{n}", "name": "One", "enabled": True} for n in range(ROWS)]
    del records[0]["enabled"]
    imported("\n".join(map(json.dumps, records)), name="a.jsonl")
    believe(0)
    records = [record | {"name": "Two"} for record in records]
    changed = imported("\n".join(map(json.dumps, records)), name="a.jsonl")
    assert changed.steps.get().updated == ROWS


def test_a_tree_that_is_undone():
    made = imported(tree(), CATEGORIES)
    believe(0)
    imported(tree(), CATEGORIES)
    assert undone(made).steps.get().deleted == ROWS


def test_a_dry_run(codes):
    assert imported(products(codes), dry_run=True).steps.get().created == ROWS
    imported(products(codes))
    believe(0)
    changed = imported(products(codes, "Another"), dry_run=True)
    assert changed.steps.get().updated == ROWS


def test_a_dry_run_of_a_tree():
    assert imported(tree(), CATEGORIES, dry_run=True).steps.get().created == ROWS


def test_a_chain_that_changed_every_row_twice(codes):
    first, second = imported(products(codes)), imported(products(codes, "Another"))
    JobExecution.objects.filter(pk=second.pk).update(continues=first)
    second.refresh_from_db()
    believe(0)
    assert undone(second, chain=True).steps.get().deleted == ROWS
