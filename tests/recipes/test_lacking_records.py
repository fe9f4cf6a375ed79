"""Whatever records lack, the table is what they make of it one after the other."""

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog.models import Category, Product
from jobs.definition import COUNTERS, Pace
from jobs.engine import staged
from jobs.models import RejectedRow
from jobs.rejected import rejected_file
from jobs.testing import run_now
from tests.recipes.driver import load
from tests.recipes.test_undo import table, undone

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"
CATEGORIES = "catalog.category.import"
LAST = {"sku": "last", "price-USD": 1}  # lacks nothing that no other lacks: all records are sparse
COLUMNS = {
    "name": ["", "A", "B"],
    "family": [None, "shoes", "Hats", "nope"],
    "categories": [None, "shoes", "shoes,Hats"],
    "enabled": [True, False],
    "price-EUR": [None, 1, 2, -1],
    "note": [None, "x", "y"],
    "pages": [None, 1, 2],
}
FIELDS = {"price-EUR": "price_eur"}
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"sku": st.sampled_from("abcAB")},
        optional={name: st.sampled_from(values) for name, values in COLUMNS.items()},
    ),
    max_size=8,
)
DEFAULTS = st.fixed_dictionaries(
    {}, optional={"name": st.just("N"), "family": st.just("Hats"), "pages": st.just("9")}
)
MODES = st.sampled_from(["upsert", "create", "update"])
fuzz = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def lines(records: list[dict]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in [*records, LAST]).encode()


def applied(there: dict, records: list[dict], mode: str, defaults: dict) -> tuple[dict, dict]:
    """The rows by folded key after these records, one by one, and what became of these."""
    rows, counts = {key: {**row} for key, row in there.items()}, dict.fromkeys(COUNTERS, 0)
    for record in records:
        key = record["sku"].lower()
        if record.get("family") == "nope":
            outcome = "failed"
        elif (mode == "create" and key in rows) or (mode == "update" and key not in rows):
            outcome = "skipped"
        elif record.get("price-EUR") == -1:
            outcome = "failed"
        elif key not in rows:
            given = {
                name: int(text) if name == "pages" else text for name, text in defaults.items()
            }
            rows[key] = fresh(record["sku"]) | changes(given) | changes(record)
            outcome = "created"
        else:
            now = rows[key] | changes(record)
            outcome = "unchanged" if now == rows[key] else "updated"
            rows[key] = now
        counts[outcome] += 1
    return rows, counts


def fresh(sku: str) -> dict:
    nothing = dict.fromkeys(("family", "price-EUR", "note", "pages"))
    return {"sku": sku, "name": "", "enabled": True, "categories": []} | nothing


def changes(record: dict) -> dict:
    """What a record says of a row, and nothing of what it lacks."""
    said = {name: value for name, value in record.items() if name != "sku"}
    if "categories" in said:
        said["categories"] = sorted(filter(None, (said["categories"] or "").split(",")))
    return said


def contents() -> dict:
    return {
        row.sku.lower(): {
            "sku": row.sku,
            "name": row.name,
            "enabled": row.enabled,
            "categories": sorted(row.categories.values_list("code", flat=True)),
            "family": row.family and row.family.code,
            "price-EUR": row.price_eur,
            "note": row.values.get("note"),
            "pages": row.values.get("pages"),
        }
        for row in Product.objects.exclude(sku="last")
    }


@fuzz
@given(
    there=RECORDS,
    records=RECORDS,
    mode=MODES,
    defaults=DEFAULTS,
    size=st.integers(1, 10),
    way=st.sampled_from(["fields", "model"]),
)
@example(  # a later turn of one key, with a row that the database refuses between
    there=[],
    records=[{"sku": "a", "name": "A"}, {"sku": "b", "price-EUR": -1}, {"sku": "a", "note": "x"}],
    mode="upsert",
    defaults={},
    size=10,
    way="fields",
)
def test_records_do_one_after_the_other_what_they_say(
    families, attributes, there, records, mode, defaults, size, way
):
    Product.objects.all().delete()
    load(PRODUCTS, lines(there))
    before = contents()
    expected, counts = applied(before, records, mode, defaults)
    loaded = load(PRODUCTS, lines(records), mode=mode, defaults=defaults, size=size, validation=way)
    assert loaded.error == ""
    assert contents() == expected
    loaded.counters.skipped -= mode == "create"  # the last record, which is there
    loaded.counters.unchanged -= mode != "create"
    assert {name: getattr(loaded.counters, name) for name in COUNTERS} == counts


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of three rows."""
    monkeypatch.setattr(staged, "SMALLEST", 3)
    monkeypatch.setattr(staged, "LARGEST", 3)
    monkeypatch.setattr(staged, "Pace", lambda: Pace(3))


@fuzz
@given(there=RECORDS, records=RECORDS, mode=MODES, defaults=DEFAULTS)
@example(  # what earlier chunks have said of a row is still there when a later one lacks it
    there=[],
    records=[
        {"sku": "a", "name": "A", "note": "x"},
        {"sku": "b"},
        {"sku": "c"},
        {"sku": "a", "pages": 1, "categories": "shoes"},
        {"sku": "a", "family": "shoes"},
        {"sku": "c"},
        {"sku": "a", "name": "A", "note": "x", "pages": 1},
        {"sku": "b", "note": None},
        {"sku": "c"},
        {"sku": "a", "categories": "shoes", "family": "shoes"},
        {"sku": "a", "note": None},
        {"sku": "b"},
        {"sku": "a", "note": None, "name": "A"},
    ],
    mode="upsert",
    defaults={"name": "N"},
)
def test_a_dry_run_says_the_same_and_undo_takes_it_back(
    families, attributes, small_chunks, there, records, mode, defaults
):
    Product.objects.all().delete()
    load(PRODUCTS, lines(there))
    before, named = table(), {"mode": mode, "defaults": defaults}
    file = {"file": lines(records)}
    dry = run_now(PRODUCTS, named | {"dry_run": True}, file)
    assert table() == before
    real = run_now(PRODUCTS, named | {"ledger": True}, file)
    assert (dry.error, real.error) == ("", "")
    assert said(dry) == said(real)
    if said(real)[0]["created"] or said(real)[0]["updated"]:
        undone(real)
    assert table() == before


def said(execution) -> tuple:
    step = execution.steps.get()
    warnings = execution.warnings.order_by("id").values_list("row", "column", "code", "message")
    rejected = RejectedRow.objects.filter(execution=execution).values_list("row", "cells")
    return {name: getattr(step, name) for name in COUNTERS}, list(warnings), list(rejected)


TREES = st.lists(
    st.fixed_dictionaries(
        {"code": st.sampled_from("abcd")},
        optional={
            "parent": st.sampled_from([None, *"abcd"]),
            "label-en_US": st.sampled_from([None, "x", "y"]),
        },
    ),
    max_size=8,
)


@fuzz
@given(there=TREES, records=TREES)
@example(
    there=[],
    records=[
        {"code": "a"},
        {"code": "b", "parent": "a"},
        {"code": "c"},
        {"code": "b", "label-en_US": "x"},
        {"code": "c"},
        {"code": "d"},
        {"code": "a", "parent": "b"},
    ],
)
def test_the_same_holds_for_trees(small_chunks, there, records):
    Category.objects.update(parent=None)
    Category.objects.all().delete()

    def file(records):
        last = {"code": "last", "label-de_DE": "L"}
        return {"file": "".join(json.dumps(each) + "\n" for each in [*records, last]).encode()}

    run_now(CATEGORIES, {}, file(there))
    dry = run_now(CATEGORIES, {"dry_run": True}, file(records))
    before = table(Category)
    real = run_now(CATEGORIES, {"ledger": True}, file(records))
    assert (dry.error, real.error) == ("", "")
    assert said(dry) == said(real)
    if said(real)[0]["created"] or said(real)[0]["updated"]:
        undone(real)
    assert table(Category) == before


def test_the_rejected_rows_lack_what_they_lacked(families, attributes):
    load(PRODUCTS, lines([{"sku": "a", "name": "A", "note": "x", "price-EUR": 2}]))
    broken = [{"sku": "a", "family": "nope", "note": None}, {"sku": "b", "price-EUR": -1}]
    ran = run_now(PRODUCTS, {}, {"file": ("rows.jsonl", lines(broken))})
    (file,) = [rejected_file(ran)]
    found = [json.loads(line) for line in b"".join(file.blocks).splitlines()]
    assert [{*record} - {"__row", "__reason"} for record in found] == [
        {"sku", "family", "note"},
        {"sku", "price-EUR"},
    ]
    corrected = [found[0] | {"family": "shoes"}, found[1] | {"price-EUR": 1}]
    again = run_now(PRODUCTS, {}, {"file": ("rows.jsonl", lines(corrected))})
    assert again.steps.get().failed == 0
    row = contents()["a"]
    assert (row["name"], row["price-EUR"], row["family"], row["note"]) == (
        "A",
        Decimal(2),
        "shoes",
        None,
    )
