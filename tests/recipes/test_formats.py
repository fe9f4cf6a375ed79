"""Imports of other formats than CSV: the same rows, the same warnings, resumed at any chunk."""

import gzip
import io
import json
from decimal import Decimal

import pytest
from openpyxl import Workbook

from catalog.models import Product
from tests.recipes.driver import load

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"
ROWS = [
    {"sku": "007", "name": "Größe", "family": "shoes", "categories": "shoes,Hats"},
    {"sku": "8", "name": None, "family": None, "categories": ""},
    {"sku": "9", "name": "x", "family": "nope", "categories": "shoes"},
    {"sku": "10", "name": "y", "family": "Hats", "categories": "Hats"},
]


def workbook(rows):
    book = Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def parquet(rows):
    from pyarrow import Table, parquet

    file = io.BytesIO()
    parquet.write_table(Table.from_pylist(rows), file, row_group_size=3)
    return file.getvalue()


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


FILES = {
    "xlsx": workbook,
    "jsonl": lines,
    "json": lambda rows: json.dumps(rows, indent=2).encode(),
    "parquet": parquet,
    "gzip": lambda rows: gzip.compress(lines(rows)),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_format_brings_the_same_rows(families, kind):
    loaded = load(PRODUCTS, FILES[kind](ROWS))
    assert loaded.error == ""
    assert loaded.counts == {"created": 3, "failed": 1}
    assert loaded.codes == [(3, "family", "unknown_reference")]
    first = Product.objects.get(sku="007")
    assert (first.name, first.family.code) == ("Größe", "shoes")
    assert sorted(first.categories.values_list("code", flat=True)) == ["Hats", "shoes"]


@pytest.mark.parametrize("kind", FILES)
def test_every_format_goes_on_behind_any_chunk(families, kind):
    file = FILES[kind](ROWS)
    cursor = load(PRODUCTS, file, size=1, chunks=2).cursors[-1]
    Product.objects.all().delete()
    loaded = load(PRODUCTS, file, size=1, cursor=cursor)
    assert loaded.codes == [(3, "family", "unknown_reference")]
    assert list(Product.objects.values_list("sku", flat=True)) == ["10"]


def test_a_lacking_key_leaves_the_value_and_null_clears(families):
    load(PRODUCTS, lines([{"sku": "a", "name": "A", "price-EUR": 1.50}]))
    loaded = load(PRODUCTS, lines([{"sku": "a", "name": None}, {"sku": "a", "price-EUR": 2}]))
    assert loaded.codes == []
    product = Product.objects.get()
    assert product.name in (None, "")
    assert product.price_eur == Decimal("2.00")
