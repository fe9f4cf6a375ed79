"""A dry run says exactly what the import then does, and writes nothing."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog.models import Category, Product
from jobs.definition import COUNTERS
from jobs.models import JobExecution, RejectedRow, RowChange
from jobs.testing import run_now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_chunks")]
PRODUCTS = "catalog.product.import"
CATEGORIES = "catalog.category.import"


def both(text: str, job: str = PRODUCTS, **parameters) -> tuple[JobExecution, JobExecution]:
    """A dry run of the file, and then the import itself."""
    dry, real = (
        run_now(job, parameters | {"dry_run": dry}, {"file": text.encode()})
        for dry in (True, False)
    )
    assert not dry.error
    assert not real.error
    return dry, real


def said(execution: JobExecution) -> tuple:
    step = execution.steps.get()
    warnings = execution.warnings.order_by("id").values_list(
        "row", "key", "column", "value", "code", "message", "outcome"
    )
    rejected = RejectedRow.objects.filter(execution=execution).values_list("row", "cells")
    return {name: getattr(step, name) for name in COUNTERS}, list(warnings), list(rejected)


def test_it_writes_nothing_and_counts_what_the_import_then_does(families):
    run_now(PRODUCTS, {}, {"file": b"sku;name;categories\na;A;shoes\nb;B;\n"})
    before = list(Product.objects.order_by("pk").values())
    text = (
        "sku;name;price-EUR;categories\na;A2;1;hats\nb;B;;\nc;C;-1;\nd;D;x;\ne;E;1;\nf;F;1;hats\n"
    )
    dry = run_now(PRODUCTS, {"dry_run": True}, {"file": text.encode()})
    assert dry.dry_run
    assert list(Product.objects.order_by("pk").values()) == before
    assert Product.objects.get(sku="a").categories.get().code == "shoes"
    real = run_now(PRODUCTS, {}, {"file": text.encode()})
    assert said(dry) == said(real)
    assert said(dry)[0] | {} == dict.fromkeys(COUNTERS, 0) | {
        "created": 2,
        "updated": 1,
        "unchanged": 1,
        "failed": 2,
    }


def test_a_key_that_comes_again_in_a_later_chunk_updates(families):
    text = "sku;name\n" + "".join(f"{key};{key}\n" for key in "abcdef") + "a;new\nB;b\nc;c\nA;new\n"
    dry, real = both(text)
    assert said(dry) == said(real)
    step = dry.steps.get()
    assert (step.created, step.updated, step.unchanged) == (6, 1, 3)


@pytest.mark.parametrize("mode", ["create", "update"])
def test_it_knows_the_modes(families, mode):
    run_now(PRODUCTS, {}, {"file": b"sku;name\na;A\n"})
    dry, real = both("sku;name\na;B\nb;B\nc;C\nd;D\nb;X\na;C\na;C\n", mode=mode)
    assert said(dry) == said(real)


def test_a_row_that_was_refused_is_not_remembered(families):
    dry, real = both("sku;price-EUR\na;-1\nb;1\nc;1\na;1\n")
    assert said(dry) == said(real)
    assert dry.steps.get().created == 3


def test_children_find_parents_of_earlier_chunks(db):
    text = "code;parent\n" + "a;\nb;a\nc;b\nd;c\ne;d\nf;e\ng;f\nx;nobody\n"
    dry, real = both(text, CATEGORIES)
    assert said(dry) == said(real)
    assert dry.steps.get().created == 7


def test_a_cycle_over_chunks_is_found(db):
    run_now(CATEGORIES, {}, {"file": b"code;parent\na;\nb;a\nc;b\nd;\ne;\n"})
    dry, real = both("code;parent\na;d\nx;\ny;\ne;\nz;\nd;c\n", CATEGORIES)
    assert said(dry) == said(real)
    assert [warning[4] for warning in said(dry)[1]] == ["cycle"]


def test_the_first_changes_are_shown(families):
    run_now(PRODUCTS, {}, {"file": b"sku;name\nold;A\n"})
    text = "sku;name\nold;B\n" + "".join(f"n{n:03};N\n" for n in range(120))
    dry = run_now(PRODUCTS, {"dry_run": True}, {"file": text.encode()})
    shown = RowChange.objects.filter(execution=dry)
    assert shown.filter(outcome="created").count() == 100
    change = shown.get(outcome="updated")
    assert (change.row, change.key, change.before, change.after) == (
        1,
        "old",
        {"name": "A"},
        {"name": "B"},
    )
    assert change.target == str(Product.objects.get().pk)
    first = shown.filter(outcome="created").first()
    assert (first.key, first.target, first.after["sku"]) == ("n000", "", "n000")
    assert "id" not in first.after


ROWS = st.lists(
    st.tuples(st.sampled_from("abcdeABC"), st.sampled_from(["", "x", "y"]), st.sampled_from("12-")),
    max_size=15,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(there=ROWS, rows=ROWS, mode=st.sampled_from(["upsert", "create", "update"]))
@example(  # the second row is the last of its key, and yet not the one that was written
    there=[],
    rows=[("a", "x", "1"), ("A", "x", "-"), ("b", "x", "1"), ("a", "y", "1"), ("c", "x", "1")],
    mode="create",
)
def test_whatever_is_there_and_in_the_file_both_say_the_same(there, rows, mode):
    Product.objects.all().delete()

    def text(rows):
        lines = [f"{sku};{name};{price}1" for sku, name, price in rows]
        return "\n".join(["sku;name;price-EUR", *lines, ""])

    run_now(PRODUCTS, {}, {"file": text(there).encode()})
    dry, real = both(text(rows), mode=mode)
    assert said(dry) == said(real)


PAIRS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", *"abcdef"])), max_size=12
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(there=PAIRS, rows=PAIRS)
def test_the_same_holds_for_trees(there, rows):
    Category.objects.update(parent=None)
    Category.objects.all().delete()

    def text(rows):
        return "\n".join(["code;parent", *(f"{code};{up}" for code, up in rows), ""])

    run_now(CATEGORIES, {}, {"file": text(there).encode()})
    dry, real = both(text(rows), CATEGORIES)
    assert said(dry) == said(real)
