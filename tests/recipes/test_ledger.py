"""The ledger: what became of each row, with images of what it was before and is now."""

import pytest

from catalog.models import Category, Product
from jobs.models import JobExecution, RowChange
from jobs.testing import run_now

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"


def imported(text: str, job: str = PRODUCTS, **parameters) -> JobExecution:
    """Import the file with a ledger, here."""
    execution = run_now(job, {"ledger": True} | parameters, {"file": text.encode()})
    assert not execution.error
    return execution


def lines(execution: JobExecution) -> list[tuple]:
    found = RowChange.objects.filter(execution=execution).order_by("row")
    return [(line.row, line.key, line.outcome, line.before, line.after) for line in found]


def test_a_line_has_what_changed_and_nothing_else(families):
    imported("sku;name;enabled;price-EUR\na;A;1;1.50\nb;B;1;2\n")
    second = imported("sku;name;enabled;price-EUR\nA;A;0;1.60\nb;B;1;2.00\n")
    assert lines(second) == [
        (
            1,
            "A",
            "updated",
            {"enabled": True, "price_eur": 1.5},
            {"enabled": False, "price_eur": 1.6},
        ),
        (2, "b", "unchanged", None, None),
    ]


def test_a_created_row_is_kept_as_a_whole(families):
    first = imported("sku;name;family;categories\na;A;shoes;shoes,hats\n")
    ((row, key, outcome, before, after),) = lines(first)
    assert (row, key, outcome, before) == (1, "a", "created", None)
    product = Product.objects.get()
    assert after["id"] == product.pk
    assert after["family_id"] == product.family_id
    assert after["categories"] == sorted(each.pk for each in product.categories.all())
    assert after["enabled"] is True
    assert RowChange.objects.get().target == str(product.pk)


def test_relations_are_lists_of_primary_keys(families):
    shoes, hats = Category.objects.order_by("pk")
    imported("sku;name;categories\na;A;shoes\nb;B;hats\n")
    second = imported("sku;categories\na;hats,shoes\nb;hats\n")
    assert lines(second) == [
        (1, "a", "updated", {"categories": [shoes.pk]}, {"categories": [shoes.pk, hats.pk]}),
        (2, "b", "unchanged", None, None),
    ]


def test_objects_are_whole_values(attributes):
    imported("sku;note;pages\na;one;1\n")
    second = imported("sku;note\na;two\n")
    ((*_, before, after),) = lines(second)
    assert before == {"values": {"note": "one", "pages": 1}}
    assert after == {"values": {"note": "two", "pages": 1}}


def test_a_tree_notes_parents(db):
    job = "catalog.category.import"
    first = imported("code;parent\nb;a\na;\n", job)
    root = Category.objects.get(code="a")
    by_key = {key: after for _, key, _, _, after in lines(first)}
    assert (by_key["a"]["parent_id"], by_key["b"]["parent_id"]) == (None, root.pk)
    imported("code;parent\nc;a\n", job)
    third = imported("code;parent\na;\nb;c\nc;a\n", job)
    outcomes = {key: (outcome, before, after) for _, key, outcome, before, after in lines(third)}
    new = Category.objects.get(code="c").pk
    assert outcomes == {
        "a": ("unchanged", None, None),
        "b": ("updated", {"parent_id": root.pk}, {"parent_id": new}),
        "c": ("unchanged", None, None),
    }


def test_rows_that_fail_and_rows_that_are_superseded_have_no_line(families):
    made = imported("sku;price-EUR\na;1\nb;-1\nc;2\nc;3\nd;x\n")
    assert [(row, key, outcome) for row, key, outcome, *_ in lines(made)] == [
        (1, "a", "created"),
        (4, "c", "created"),
    ]


def test_without_the_parameter_there_is_no_line(families):
    run_now(PRODUCTS, {}, {"file": b"sku\na\n"})
    assert not RowChange.objects.exists()


# --- Modes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ledger", [False, True])
def test_create_only_skips_what_exists(families, ledger):
    imported("sku;name\na;A\n")
    made = imported(
        "sku;name;categories\nA;B;shoes\nb;B;\nc;C;hats\n", mode="create", ledger=ledger
    )
    step = made.steps.get()
    assert (step.created, step.updated, step.unchanged, step.skipped) == (2, 0, 0, 1)
    assert list(made.warnings.values_list("row", "key", "code", "outcome")) == [
        (1, "A", "exists", "skipped")
    ]
    assert Product.objects.get(sku="a").name == "A"
    assert Product.objects.get(sku="c").categories.count() == 1
    assert [key for _, key, *_ in lines(made)] == (["b", "c"] if ledger else [])


@pytest.mark.parametrize("ledger", [False, True])
def test_update_only_skips_what_is_absent(families, ledger):
    imported("sku;name;categories\na;A;shoes\nb;B;\nc;C;\n")
    text = "sku;name;categories\nA;B;hats\nb;B;\nc;C;shoes\nd;D;hats\n"
    made = imported(text, mode="update", ledger=ledger)
    step = made.steps.get()
    assert (step.created, step.updated, step.unchanged, step.skipped) == (0, 2, 1, 1)
    assert list(made.warnings.values_list("row", "key", "code", "outcome")) == [
        (4, "d", "absent", "skipped")
    ]
    assert Product.objects.count() == 3
    found = Product.objects.get(sku="a")
    assert (found.name, found.categories.get().code) == ("B", "Hats")
    outcomes = [outcome for _, _, outcome, *_ in lines(made)]
    assert outcomes == (["updated", "unchanged", "updated"] if ledger else [])


@pytest.mark.parametrize("mode", ["create", "update"])
def test_modes_hold_for_trees(db, mode):
    job = "catalog.category.import"
    imported("code;parent\na;\nb;\n", job)
    made = imported("code;parent\na;\nb;a\nc;a\n", job, mode=mode)
    found = dict(Category.objects.values_list("code", "parent__code"))
    if mode == "create":
        assert found == {"a": None, "b": None, "c": "a"}
    else:
        assert found == {"a": None, "b": "a"}
    assert made.steps.get().skipped == (2 if mode == "create" else 1)
