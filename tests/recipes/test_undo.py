"""Undo: rows go back to what they were, and what somebody has changed since is left alone."""

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Category, Family, Product
from jobs import control
from jobs.engine.claim import claim
from jobs.engine.runner import run
from jobs.models import JobExecution, RowChange
from jobs.states import Status
from jobs.testing import run_now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_chunks")]
PRODUCTS = "catalog.product.import"
CATEGORIES = "catalog.category.import"


def imported(text: str, job: str = PRODUCTS, **parameters) -> JobExecution:
    execution = run_now(job, {"ledger": True} | parameters, {"file": text.encode()})
    assert not execution.error
    return execution


def undone(execution: JobExecution, **options) -> JobExecution:
    """Undo it here, after a preview that must say the same."""
    preview = control.undo_preview(execution, **options)
    made = control.undo(execution, **options)
    claimed = claim(str(made.pk), "test")
    run(claimed, forked=False)
    made.refresh_from_db()
    assert made.status == Status.COMPLETED, made.error_detail or made.error
    step = made.steps.get()
    assert step.updated == preview.counts.get("restore", 0)
    assert step.deleted == preview.counts.get("delete", 0)
    assert step.created == preview.counts.get("recreate", 0)
    assert step.skipped == preview.conflicts
    assert (step.failed, step.total) == (0, step.processed)
    return made


def table(model=Product, *, but: tuple = ()) -> list[dict]:
    """Every row with its relations, without the time of its last change."""
    rows = []
    for row in model.objects.order_by("pk"):
        image = {f.attname: getattr(row, f.attname) for f in model._meta.concrete_fields}
        for field in model._meta.many_to_many:
            image[field.name] = sorted(getattr(row, field.name).values_list("pk", flat=True))
        image.pop("updated_at", None)
        if row.pk not in but:
            rows.append(image)
    return rows


def codes(execution: JobExecution) -> list[tuple]:
    return list(execution.warnings.order_by("key").values_list("key", "code", "outcome"))


START = "sku;name;family;categories;price-EUR;note\n" + "".join(
    f"s{n};Name {n};shoes;shoes;{n}.50;one {n}\n" for n in range(10)
)
CHANGED = "sku;name;family;categories;price-EUR;note\n" + "".join(
    f"s{n};New {n};hats;shoes,hats;{n}.75;two {n}\n" for n in range(5, 15)
)


def test_everything_goes_back(families, attributes):
    imported(START)
    before = table()
    second = imported(CHANGED)
    assert table() != before
    made = undone(second)
    assert table() == before
    step = made.steps.get()
    assert (step.updated, step.deleted, step.skipped) == (5, 5, 0)
    assert (made.undoes, made.name) == (second, "Undo Import products")


def test_an_undo_can_be_undone(families, attributes):
    imported(START)
    second = imported(CHANGED)
    after = table()
    first_undo = undone(second)
    assert "It has been undone" in control.cannot_undo(second)
    step = undone(first_undo).steps.get()
    assert table() == after
    assert (step.created, step.updated, step.skipped) == (5, 5, 0)
    assert control.cannot_undo(second) == ""
    undone(second)


def test_rows_changed_since_are_listed_and_left_alone(families, attributes):
    imported(START)
    before = table()
    second = imported(CHANGED)
    Product.objects.filter(sku="s5").update(name="Mine")
    Product.objects.filter(sku="s12").update(enabled=False)
    Product.objects.get(sku="s13").categories.clear()
    Product.objects.filter(sku="s6").delete()
    made = undone(second)
    kept = tuple(Product.objects.filter(sku__in=["s5", "s12", "s13"]).values_list("pk", flat=True))
    assert table(but=kept) == [row for row in before if row["sku"] not in {"s5", "s6"}]
    assert Product.objects.get(sku="s5").name == "Mine"
    assert codes(made) == [
        ("s12", "changed_since", "skipped"),
        ("s13", "changed_since", "skipped"),
        ("s5", "changed_since", "skipped"),
        ("s6", "gone", "skipped"),
    ]
    warning = made.warnings.get(key="s5")
    assert warning.message == "It was changed since: name is “Mine”, and was made “New 5”."
    assert (warning.column, warning.value, warning.row) == ("name", "“Mine”", 1)


def test_a_change_of_another_field_is_no_conflict(families):
    imported("sku;name\na;A\n")
    second = imported("sku;name\na;B\n")
    Product.objects.update(enabled=False)
    undone(second)
    found = Product.objects.get()
    assert (found.name, found.enabled) == ("A", False)


def test_created_rows_that_others_refer_to_stay(families):
    made = imported("code;parent\na;\nb;a\nc;\nd;\n", CATEGORIES)
    product = Product.objects.create(sku="x")
    product.categories.add(Category.objects.get(code="b"))
    result = undone(made)
    assert codes(result) == [("a", "referenced", "skipped"), ("b", "referenced", "skipped")]
    assert "by products" in result.warnings.get(key="b").message
    assert "by parent of categories" in result.warnings.get(key="a").message
    assert set(Category.objects.values_list("code", flat=True)) == {"shoes", "Hats", "a", "b"}


def test_a_tree_goes_back(db):
    imported("code;parent\na;\nb;a\nc;b\n", CATEGORIES)
    before = table(Category)
    second = imported("code;parent\nx;\na;x\ny;c\nz;y\nw;z\nc;\n", CATEGORIES)
    undone(second)
    assert table(Category) == before


def test_a_row_that_was_changed_twice_is_undone_once(families):
    imported("sku;name\na;1\n")
    before = table()
    text = "sku;name\na;2\nb;1\nx;1\ny;1\na;3\nb;2\nz;1\nw;1\nv;1\na;4\n"
    second = imported(text)
    step = undone(second).steps.get()
    assert (step.updated, step.deleted, step.processed) == (1, 6, 7)
    assert table() == before


def test_the_whole_chain_goes_back(families):
    imported("sku;name\na;1\n")
    before = table()
    first = imported("sku;name;price-EUR\na;2;1\nb;1;1\nc;1;x\n")
    JobExecution.objects.filter(pk=first.pk).update(status=Status.STOPPED)
    second = imported("sku;name;price-EUR\na;3;1\nc;1;1\n")
    JobExecution.objects.filter(pk=second.pk).update(continues=first.pk)
    second.refresh_from_db()
    undone(second, chain=True)
    assert table() == before


def test_what_the_database_refuses_is_a_conflict(families):
    imported("sku;family\na;shoes\nb;shoes\n")
    second = imported("sku;family\na;hats\nb;\n")
    Product.objects.filter(sku="x").delete()
    shoes = Family.objects.get(code="shoes")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalog_family WHERE id = %s", [shoes.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    made = control.undo(second)
    run(claim(str(made.pk), "test"), forked=False)
    assert codes(made) == [("a", "gone", "skipped"), ("b", "gone", "skipped")]
    assert made.steps.get().skipped == 2


def test_an_undo_moves_the_time_of_the_last_change(families):
    imported("sku;name\na;A\n")
    second = imported("sku;name\na;B\n")
    Product.objects.update(updated_at="2020-01-01T00:00Z")
    undone(second)
    assert Product.objects.get().updated_at.year > 2020


# --- When it cannot be undone -------------------------------------------------------------------


def test_it_says_why_it_cannot_be_undone(families, settings):
    without = imported("sku\na\n", ledger=False)
    assert "No ledger was kept" in control.cannot_undo(without)
    dry = imported("sku\nb\n", dry_run=True)
    assert "dry run" in control.cannot_undo(dry)
    same = imported("sku\na\n")
    assert control.cannot_undo(same) == "It has changed no rows."
    with pytest.raises(control.Refused, match="changed no rows"):
        control.undo(same)


def test_one_undo_is_open_at_a_time(families):
    made = imported("sku\na\n")
    control.undo(made)
    with pytest.raises(control.Refused, match="being undone"):
        control.undo(made)


def test_launched_without_an_execution_it_does_nothing(families):
    made = imported("sku\na\n")
    failed = run_now("jobs.undo", {"execution": str(made.pk)})
    assert (failed.status, failed.error) == (
        Status.FAILED,
        "Nothing was undone: an undo is launched from the execution that it undoes.",
    )


# --- Whatever happens ---------------------------------------------------------------------------

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdefgABC"),
        st.sampled_from(["", "x", "y"]),
        st.sampled_from(["", "shoes", "hats", "hats,shoes"]),
    ),
    max_size=15,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(there=ROWS, rows=ROWS, edits=st.lists(st.sampled_from("abcdefg"), max_size=3))
def test_all_but_the_edited_rows_are_as_at_the_start(families, there, rows, edits):
    Product.objects.all().delete()

    def text(rows):
        return "\n".join(["sku;name;categories", *(";".join(row) for row in rows), ""])

    imported(text(there))
    before = table()
    second = imported(text(rows))
    touched = set(
        RowChange.objects.filter(execution=second)
        .exclude(outcome="unchanged")
        .values_list("target", flat=True)
    )
    for sku in edits:
        Product.objects.filter(sku__iexact=sku).update(name="edited")
    edited = tuple(Product.objects.filter(name="edited").values_list("pk", flat=True))
    if not touched:
        return
    undone(second)
    kept = set(edited) & {int(pk) for pk in touched}
    names = {row["id"] for row in before}
    for row in before:
        row["name"] = "edited" if row["id"] in set(edited) - kept else row["name"]
    assert table(but=edited) == [row for row in before if row["id"] not in edited]
    assert set(edited) - names <= kept
