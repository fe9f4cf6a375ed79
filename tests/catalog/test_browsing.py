"""Rows of a selection a page at a time: in any order, forwards and backwards, each row once."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Attribute, Category, Family, Product
from jobs import browsing
from jobs.conditions import Condition
from jobs.resources import RESOURCES
from jobs.selection import Selection

pytestmark = pytest.mark.django_db

ORDERS = [
    (),
    ("sku",),
    ("-sku",),
    ("name",),
    ("-price-EUR",),
    ("price-EUR",),
    ("family", "-price-EUR"),
    ("-family.label-en_US",),
    ("color", "-enabled"),
    ("-created_at",),
    ("-pk",),
]


@pytest.fixture
def products(monkeypatch) -> list[Product]:
    """23 products with values that are level, and values that are missing, in every column."""
    monkeypatch.setattr(RESOURCES["catalog.product"], "fields", [*FIELDS, "created_at"])
    Attribute.objects.create(code="color", type="text")
    families = [Family.objects.create(code=c, labels={"en_US": c.upper()}) for c in "ab"]
    Category.objects.bulk_create(Category(code=code) for code in ("x", "y"))
    made = [
        Product.objects.create(
            sku=f"{'Aa'[number % 2]}{number:02}",
            name=("Boot", "", "Hat")[number % 3],
            family=[*families, None][number % 3],
            price_eur=[None, Decimal("1.50"), Decimal("10.00")][number // 2 % 3],
            enabled=number % 4 > 0,
            values={} if number % 5 else {"color": "red"},
        )
        for number in range(23)
    ]
    for number, product in enumerate(made):
        moment = dt.datetime(2026, 1, 1, 0, 0, 0, 123456 + number // 2, tzinfo=dt.UTC)
        Product.objects.filter(pk=product.pk).update(created_at=moment)
    made[0].categories.set(Category.objects.all())
    return made


FIELDS = RESOURCES["catalog.product"].fields


def selection(*order: str, **parts) -> Selection:
    return Selection(resource=RESOURCES["catalog.product"], order=order, **parts)


def walk(chosen: Selection, size: int) -> list[list[int]]:
    """The keys of every page, forwards; backwards they must be the same."""
    pages, after = [], ""
    while True:
        page = browsing.page(chosen, size=size, after=after)
        pages.append([key for key, _ in page.rows])
        if not page.after:
            break
        after = page.after
    back, before = [pages[-1]], page.before
    while before:
        page = browsing.page(chosen, size=size, before=before)
        back.append([key for key, _ in page.rows])
        before = page.before
    assert back[::-1] == pages
    return pages


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.parametrize("size", [1, 4, 23, 50])
def test_every_row_is_on_one_page_forwards_and_backwards(products, order, size):
    pages = walk(selection(*order), size)
    keys = [key for page in pages for key in page]
    assert len(keys) == len(set(keys)) == 23
    assert {len(page) for page in pages[:-1]} <= {size}
    whole = [key for key, _ in browsing.page(selection(*order), size=100).rows]
    assert keys == whole


def test_rows_are_in_order_and_those_without_a_value_last(products):
    prices = [cells[0] for _, cells in rows(selection("-price-EUR", columns=("price-EUR",)))]
    known = [price for price in prices if price is not None]
    assert known == sorted(known, reverse=True)
    assert prices[len(known) :] == [None] * (23 - len(known))


def rows(chosen: Selection):
    return browsing.page(chosen, size=100).rows


def test_codes_are_in_order_without_regard_to_case(products):
    skus = [cells[0] for _, cells in rows(selection("sku", columns=("sku",)))]
    assert skus == sorted(skus, key=str.lower)


def test_the_index_of_the_key_is_used_for_its_order(products):
    page = browsing.page(selection("sku"), size=4)
    with CaptureQueriesContext(connection) as asked, connection.cursor() as cursor:
        browsing.page(selection("sku"), size=4, after=page.after)
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + statement(asked))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "catalog_product_sku" in plan
    assert "Index Cond: (lower((sku)::text) >= " in plan


def statement(asked) -> str:
    return next(each["sql"] for each in asked if "IN (SELECT" in each["sql"])


def test_cells_are_the_values_of_the_columns(products):
    columns = ("sku", "family", "categories", "color", "family.label-en_US")
    found = dict(rows(selection(columns=columns)))
    assert found[products[0].pk] == ["A00", "a", ["x", "y"], "red", "A"]
    assert found[products[2].pk] == ["A02", None, [], None, None]


def test_a_row_that_comes_meanwhile_neither_repeats_nor_hides_others(products):
    first = browsing.page(selection("sku"), size=5)
    Product.objects.create(sku="A000")
    second = browsing.page(selection("sku"), size=5, after=first.after)
    skus = [product.sku for product in sorted(products, key=lambda one: one.sku.lower())]
    found = {product.pk: product.sku for product in products}
    assert [found[key] for key, _ in [*first.rows, *second.rows]] == skus[:10]


def test_a_cursor_of_another_order_is_refused(products):
    page = browsing.page(selection("sku"), size=5)
    with pytest.raises(ValidationError, match="another order"):
        browsing.page(selection("name"), size=5, after=page.after)
    with pytest.raises(ValidationError, match="no such page"):
        browsing.page(selection("sku"), size=5, after="forged")


def test_counts_are_exact_up_to_the_cap(products, monkeypatch):
    assert browsing.count(selection()) == 23
    only = selection(filters=(Condition("family", "=", "a"),))
    assert browsing.count(only) == 8
    monkeypatch.setattr(browsing, "CAP", 10)
    assert browsing.count(selection()) == 11


@pytest.fixture
def slow(products):
    """A filter that PostgreSQL needs two minutes for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.slowly(text) RETURNS text LANGUAGE sql VOLATILE AS "
            "$$ SELECT $1 FROM pg_sleep(5) $$"
        )
    from django.db.models import CharField, F, Func

    class Slow(RESOURCES["catalog.product"]):
        def queryset(self):
            slowly = Func(F("sku"), function="pg_temp.slowly", output_field=CharField())
            return super().queryset().alias(_slow=slowly).filter(_slow="x")

    return Selection(resource=Slow)


def test_what_takes_too_long_is_given_up(slow, monkeypatch):
    monkeypatch.setattr(browsing, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(browsing.TooSlow, match="took longer than"):
        browsing.page(slow, size=5)
    assert browsing.count(slow) is None
    assert Product.objects.count() == 23  # the connection is as it was
