"""Imports that write every row through the model: full_clean(), save(), signals."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db.models.signals import post_save

from catalog.models import Attribute, AttributeOption, Category, Product
from jobs.definition import InvalidParameters
from jobs.testing import run_now
from tests.recipes.driver import load

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"


def by_model(file: str, job: str = PRODUCTS, **parameters):
    return load(job, file, validation="model", **parameters)


@pytest.fixture
def saved():
    """The SKUs of the products that have been saved, as a receiver of signals hears of them."""
    heard = []

    def hear(instance, created, **_):
        if instance.sku.startswith("bad"):
            raise ValidationError({"name": ValidationError("A receiver refuses.", "rude")})
        heard.append((instance.sku, created))

    post_save.connect(hear, sender=Product)
    yield heard
    post_save.disconnect(hear, sender=Product)


FILE = (
    "sku;name;family;categories;price-EUR;enabled;note;weight;weight-unit\n"
    'a;A;shoes;"shoes,hats";1.50;0;x;2.5;GRAM\n'
    "b;B;;;;;;;\n"
)


def contents() -> list[tuple]:
    rows = Product.objects.order_by("sku")
    return [
        (
            row.sku, row.name, row.family_id, row.price_eur, row.enabled, row.values,
            sorted(row.categories.values_list("code", flat=True)),
        )
        for row in rows
    ]  # fmt: skip


def test_the_rows_are_those_that_the_merge_writes(families, attributes, saved):
    assert load(PRODUCTS, FILE).counts == {"created": 2}
    expected = contents()
    Product.objects.all().delete()
    assert by_model(FILE).counts == {"created": 2}
    assert contents() == expected
    assert saved == [("a", True), ("b", True)]


def test_rows_that_are_the_same_are_not_saved_and_others_are_updated(families, attributes, saved):
    by_model(FILE)
    saved.clear()
    assert by_model(FILE).counts == {"unchanged": 2}
    assert saved == []
    changed = FILE.replace("shoes,hats", "hats").replace("b;B", "B;b")
    assert by_model(changed).counts == {"updated": 2}
    assert saved == [("a", False), ("b", False)]
    assert Product.objects.get(sku="a").categories.get().code == "Hats"
    by_model("sku;price-EUR\na;\n")
    found = Product.objects.get(sku="a")
    assert (found.price_eur, found.name, found.enabled) == (None, "A", False)


def test_what_the_model_refuses_costs_its_row_with_every_reason(families, saved):
    file = "sku;name;price-EUR\na;A;1\nbad;B;2\nc;C;-1\nd;D;1\n"
    loaded = by_model(file)
    assert loaded.counts == {"created": 2, "failed": 2}
    assert loaded.codes == [(2, "name", "rude"), (3, "", "invalid")]
    assert loaded.warnings[1].message == "A price must not be negative."
    assert saved == [("a", True), ("d", True)]


def test_a_row_that_only_the_database_refuses_costs_that_row(families, monkeypatch):
    monkeypatch.setattr(Product, "full_clean", lambda self: None)
    loaded = by_model("sku;price-EUR\na;1\nb;-1\nc;1\n")
    assert loaded.counts == {"created": 2, "failed": 1}
    assert loaded.codes == [(2, "price-EUR", "refused")]


def test_the_last_row_of_a_key_wins_within_and_across_chunks():
    loaded = by_model("sku;name\na;1\nA;2\nb;1\na;3\n", size=2)
    assert loaded.counts == {"created": 2, "updated": 1, "skipped": 1}
    assert [(row, code) for row, _, code in loaded.codes] == [
        (1, "superseded"), (2, "overwritten"),
    ]  # fmt: skip
    assert Product.objects.get(sku="A").name == "3"


@pytest.mark.parametrize(
    ("mode", "counts", "code"),
    [
        ("create", {"created": 1, "skipped": 1}, "exists"),
        ("update", {"updated": 1, "skipped": 1}, "absent"),
    ],
)
def test_the_modes_hold(mode, counts, code):
    load(PRODUCTS, "sku;name\nold;1\n")
    loaded = by_model("sku;name\nold;2\nnew;2\n", mode=mode)
    assert (loaded.counts, loaded.codes[0][2]) == (counts, code)


def test_trees_keys_of_two_columns_and_defaults_go_through_models_too():
    file = "code;parent\nchild;root\nroot;\norphan;nobody\n"
    loaded = by_model(file, "catalog.category.import")
    assert loaded.counts == {"created": 2, "failed": 1}
    assert Category.objects.get(code="child").parent.code == "root"
    assert by_model(file, "catalog.category.import").counts == {"unchanged": 2, "failed": 1}

    Attribute.objects.create(code="color", type="simpleselect")
    options = "attribute;code\ncolor;red\nCOLOR;blue\n"
    job = "catalog.attribute_option.import"
    assert by_model(options, job, defaults={"sort_order": "5"}).counts == {"created": 2}
    assert by_model(options, job, defaults={"sort_order": "6"}).counts == {"unchanged": 2}
    assert set(AttributeOption.objects.values_list("sort_order", flat=True)) == {5}


def test_defaults_of_json_fields_are_for_new_rows(attributes):
    load(PRODUCTS, "sku;note\nold;x\n")
    by_model("sku;note;price-EUR\nold;y;1.5\nnew;z;1.5\n", defaults={"pages": "7"})
    assert Product.objects.get(sku="old").values == {"note": "y"}
    assert Product.objects.get(sku="new").values == {"note": "z", "pages": 7}
    assert Product.objects.get(sku="new").price_eur == Decimal("1.5")


def test_it_runs_through_the_platform_and_keeps_the_rejected_rows(saved):
    done = run_now(PRODUCTS, {"validation": "model"}, {"file": b"sku;name\na;A\nbad;B\n"})
    assert (done.status, done.error) == ("completed", "")
    assert (done.steps.get().created, done.steps.get().failed) == (1, 1)
    assert [(each.row, each.cells) for each in done.rejected_rows.all()] == [(2, ["bad", "B"])]


@pytest.mark.parametrize("name", ["dry_run", "ledger"])
def test_what_does_not_go_with_it_is_refused_at_launch(name):
    with pytest.raises(InvalidParameters) as refused:
        run_now(PRODUCTS, {"validation": "model", name: True}, {"file": b"sku\na\n"})
    assert [*refused.value.errors] == [name]
