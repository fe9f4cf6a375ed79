"""Records that lack keys which other records have: the values stay, and new rows get defaults."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections, models, transaction
from django.db.models.functions import Now
from django.test.utils import isolate_apps
from django.utils import timezone

from catalog.jobs import ProductResource
from catalog.models import Attribute, AttributeOption, Category, Product
from jobs.definition import Partition
from jobs.recipes.absent_columns import made_by_database
from jobs.recipes.imports import ImportJob
from tests.fleet import eventually
from tests.recipes.driver import import_of, load

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"
CATEGORIES = "catalog.category.import"
ATTRIBUTES = "catalog.attribute.import"
WHOLE = {
    "sku": "a", "name": "A", "family": "shoes", "categories": "shoes", "enabled": False,
    "price-EUR": 1.5, "note": "x", "pages": 7, "weight": 2.5, "weight-unit": "GRAM",
}  # fmt: skip


def lines(*records: dict) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def contents() -> dict[str, tuple]:
    return {
        row.sku: (
            row.name, row.family and row.family.code, row.price_eur, row.enabled, row.values,
            sorted(row.categories.values_list("code", flat=True)),
        )
        for row in Product.objects.order_by("sku")
    }  # fmt: skip


WAYS = {"fields": {}, "model": {"validation": "model"}}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def test_what_a_record_lacks_stays_as_it_is(families, attributes, way):
    load(PRODUCTS, lines(WHOLE))
    before = contents()["a"]
    for name in WHOLE.keys() - {"sku", "weight-unit"}:
        single = {"sku": "a", name: WHOLE[name]}
        if name == "weight":
            single["weight-unit"] = "GRAM"
        loaded = load(PRODUCTS, lines(single, WHOLE | {"sku": "other"}), **way)
        assert loaded.codes == []
        assert loaded.counters.updated == 0, name
        assert contents()["a"] == before


def test_null_clears_beside_a_key_that_is_lacking(families, attributes, way):
    load(PRODUCTS, lines(WHOLE))
    cleared = {"sku": "a", "family": None, "note": None, "categories": None}
    assert load(PRODUCTS, lines(cleared, WHOLE | {"sku": "b"}), **way).counters.updated == 1
    name, family, price, enabled, values, categories = contents()["a"]
    assert (name, family, price, enabled) == ("A", None, Decimal("1.50"), False)
    assert (values, categories) == (
        {"pages": 7, "weight": {"amount": Decimal("2.5"), "unit": "GRAM"}} | values,
        [],
    )
    assert values.keys() == {"pages", "weight"}


def test_a_new_row_gets_the_defaults_of_launch_and_fields(families, attributes, way):
    defaults = {"name": "N", "pages": "3", "family": "hats"}
    file = lines({"sku": "b", "note": "y"}, WHOLE, {"sku": "c", "name": None, "pages": None})
    loaded = load(PRODUCTS, file, defaults=defaults, **way)
    assert (loaded.codes, loaded.counts) == ([], {"created": 3})
    found = contents()
    assert found["b"] == ("N", "Hats", None, True, {"note": "y", "pages": 3}, [])
    assert found["c"] == ("", "Hats", None, True, {}, [])
    assert found["a"][:2] == ("A", "shoes")
    again = load(PRODUCTS, file, defaults=defaults | {"family": "shoes"}, **way)
    assert again.counts == {"unchanged": 3}


def test_a_new_row_that_lacks_what_it_needs_is_a_warning(db, way):
    Attribute.objects.create(code="old", type="text")
    loaded = load(
        ATTRIBUTES,
        lines({"code": "old", "group": "g"}, {"code": "new"}, {"code": "x", "type": "text"}),
        **way,
    )
    assert loaded.counts == {"updated": 1, "created": 1, "failed": 1}
    assert [(row, column) for row, column, _ in loaded.codes] == [(2, "type")]
    assert Attribute.objects.get(code="old").type == "text"
    assert Attribute.objects.get(code="x").group == ""


def test_a_record_without_the_key_is_refused(db, way):
    job = "catalog.attribute_option.import"
    Attribute.objects.create(code="color", type="simpleselect")
    file = lines(
        {"attribute": "color", "code": "red"}, {"attribute": "color"}, {"code": "x"},
        {"sort_order": 1},
    )  # fmt: skip
    loaded = load(job, file, **way)
    assert loaded.counts == {"created": 1, "failed": 3}
    assert loaded.codes == [
        (2, "code", "missing_key"), (3, "attribute", "missing_key"),
        (4, "attribute", "missing_key"), (4, "code", "missing_key"),
    ]  # fmt: skip
    assert loaded.warnings[0].message == "The record lacks 'code', by which its row is found."
    assert AttributeOption.objects.get().code == "red"


def test_half_a_measure_is_refused_with_the_missing_half(attributes, way):
    loaded = load(PRODUCTS, lines({"sku": "a", "weight": 1}, WHOLE | {"family": None}), **way)
    assert loaded.codes[0] == (1, "weight-unit", "missing_key")
    said = "The record lacks 'weight-unit', which belongs to 'weight'."
    assert loaded.warnings[0].message == said


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        ("create", {"created": 1, "skipped": 1}),
        ("update", {"updated": 1, "skipped": 1}),
        ("upsert", {"created": 1, "updated": 1}),
    ],
)
def test_the_modes_hold(families, way, mode, counts):
    load(PRODUCTS, lines({"sku": "old", "name": "A", "categories": "shoes"}))
    file = lines({"sku": "old", "name": "B"}, {"sku": "new", "categories": "hats"})
    assert load(PRODUCTS, file, mode=mode, **way).counts == counts
    assert contents()["old"][5] == ["shoes"]


@pytest.mark.parametrize("size", [1, 2, 10])
def test_records_of_one_key_complete_each_other(families, attributes, way, size):
    file = lines(
        {"sku": "a", "name": "A", "note": "x"}, {"sku": "b", "name": "B"},
        {"sku": "A", "price-EUR": 2, "categories": "hats"}, {"sku": "a", "pages": 3, "note": None},
    )  # fmt: skip
    loaded = load(PRODUCTS, file, size=size, **way)
    assert [code for _, _, code in loaded.codes if code != "overwritten"] == []
    assert loaded.counts == {"created": 2, "updated": 2}
    assert contents()["a"] == ("A", None, Decimal("2.00"), True, {"pages": 3}, ["Hats"])


def test_a_whole_record_supersedes_those_before_it(families, way):
    names = [{"sku": "a", "name": "1"}, {"sku": "a", "price-EUR": 1}]
    whole = {"sku": "a", "name": "3", "price-EUR": 3}
    loaded = load(PRODUCTS, lines(*names, whole), **way)
    assert loaded.counts == {"created": 1, "updated": 1, "skipped": 1}
    assert loaded.codes == [(2, "", "superseded")]
    assert contents()["a"][:3] == ("3", None, Decimal(3))


def test_a_parent_stays_where_a_record_lacks_it(db, way):
    load(CATEGORIES, "code;parent\nroot;\nchild;root\n")
    file = lines({"code": "child", "label-en_US": "C"}, {"code": "new", "parent": "child"})
    loaded = load(CATEGORIES, file, **way)
    assert (loaded.codes, loaded.counts) == ([], {"created": 1, "updated": 1})
    assert Category.objects.get(code="child").parent.code == "root"
    assert Category.objects.get(code="new").parent.code == "child"


def test_clean_sees_what_the_record_has(families, attributes):
    seen = []

    class Seeing(ProductResource):
        def clean(self, row):
            seen.append(row | ({"values": {*row["values"]}} if "values" in row else {}))
            return row

    load(PRODUCTS, lines(WHOLE))
    before = contents()
    loaded = load(import_of(Seeing), lines({"sku": "a", "name": "B"}, {"sku": "a", "note": None}))
    assert (loaded.codes, loaded.counts) == ([], {"updated": 2})
    assert seen == [{"sku": "a", "name": "B"}, {"sku": "a", "values": {"note"}}]
    left = {key: value for key, value in before["a"][4].items() if key != "note"}
    assert contents()["a"] == ("B", *before["a"][1:4], left, *before["a"][5:])


def test_times_that_the_field_makes_itself_are_made_for_new_rows(db, way):
    class Timed(ProductResource):
        fields = [*ProductResource.fields, "created_at"]

    moment = "2020-02-03T04:05:06+00:00"
    file = lines({"sku": "a", "created_at": moment}, {"sku": "b", "name": "B"})
    assert load(import_of(Timed), file, **way).counts == {"created": 2}
    assert Product.objects.get(sku="b").created_at > timezone.now() - timedelta(hours=1)


@isolate_apps("catalog")
def test_defaults_of_the_database_are_written_as_sql(db):
    class Row(models.Model):
        text = models.CharField(max_length=9, db_default="it's 5 %")
        now = models.DateTimeField(db_default=Now())
        both = models.IntegerField(default=3, db_default=4)
        plain = models.IntegerField()

        class Meta:
            app_label = "catalog"

    text, now, both, plain = (
        made_by_database(Row._meta.get_field(name)) for name in ("text", "now", "both", "plain")
    )
    assert (both, plain) == ("", "")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {text}, {now} <= clock_timestamp(), %(n)s::int", {"n": 1})
        assert cursor.fetchone() == ("it's 5 %", True, 1)


def test_parts_divide_sparse_records_by_key(families):
    records = [{"sku": f"s{n % 7}", "name": f"{n}"} for n in range(14)]
    file = lines(*records, {"sku": "x", "price-EUR": 1}, {"name": "no key"})
    loaded = []
    for number in range(3):
        part = {"resource": ProductResource, "partition": Partition(number, 3)}
        loaded.append(load(type("Part", (ImportJob,), part), file, size=4))
    assert sum(each.counters.created for each in loaded) == 8
    assert [code for each in loaded for _, _, code in each.codes if code == "missing_key"] == [
        "missing_key"
    ]
    assert {sku: row[0] for sku, row in contents().items() if sku != "x"} == {
        f"s{n % 7}": f"{n}" for n in range(7, 14)
    }


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_writes_meanwhile_stays_where_the_record_lacks_it(families):
    def imported() -> dict[str, int]:
        try:
            return load(
                PRODUCTS,
                lines(
                    {"sku": "a", "price-EUR": 2},
                    {"sku": "b", "price-EUR": 2},
                    {"sku": "c", "name": "C"},
                ),
            ).counts
        finally:
            connections.close_all()

    def is_waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            return cursor.fetchone()[0]

    Product.objects.create(sku="a", name="before", price_eur=1)
    with ThreadPoolExecutor(1) as executor:
        with transaction.atomic():
            Product.objects.filter(sku="a").update(name="theirs")
            Product.objects.create(sku="b", name="theirs", enabled=False)
            counts = executor.submit(imported)
            eventually(is_waiting, "the import waits for the rows")
        assert counts.result(30) == {"created": 1, "updated": 2}
    found = {sku: row[:4] for sku, row in contents().items()}
    assert found["a"] == ("theirs", None, Decimal(2), True)
    assert found["b"] == ("theirs", None, Decimal(2), False)
