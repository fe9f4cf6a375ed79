"""What an export writes, and that an import of it changes nothing."""

import csv
import io
import zipfile
from contextlib import closing, suppress
from itertools import islice

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Attribute, Category, Family, Product
from jobs.definition import JobError, find
from jobs.formats.writing import WRITERS
from jobs.formats.written import AS_CSV, WriteOptions
from jobs.recipes.row_source import RowSource
from jobs.selection import Selection
from jobs.testing import run_now
from tests.recipes.driver import export, export_files, load

pytestmark = pytest.mark.django_db
IMPORT, EXPORT = "catalog.product.import", "catalog.product.export"


def rows(text: str, delimiter: str = ";") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.fixture
def shop(families, attributes, choices):
    """Attributes of every type."""
    Attribute.objects.create(code="since", type="date", scopable=True)
    Attribute.objects.create(code="text", type="textarea", localizable=True, scopable=True)
    Attribute.objects.create(code="price", type="price")


FILE = """\
sku;name;family;categories;enabled;price-EUR;price-USD;PACK-products;parent;color;pages;\
price-CHF;since-web;tags;text-en_US-web;washable;weight;weight-unit
a;A;shoes;Hats,shoes;1;12.50;0.10;x,y;m;red;3;4.50;2024-02-29;blue,red;"say ""hi""; bye";1;2.500;KG
b;;;;0;;;;;;;;;;;0;;
"""


def test_the_file_has_the_columns_of_the_import_and_the_keys_that_occur(shop):
    assert load(IMPORT, FILE).counts == {"created": 2}
    text, result, _ = export(EXPORT)
    assert result == {"rows": 2}
    first, second = rows(text)
    assert first == rows(FILE)[0] | {"price-EUR": "12.50"}
    assert second["sku"] == "b"
    assert {value for name, value in second.items() if name not in ("sku", "enabled")} == {"", "0"}


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_keys_are_found_wherever_they_first_occur(shop, monkeypatch, page):
    monkeypatch.setattr("jobs.recipes.row_source.KEY_PAGE", page)
    values = [{}, {"color": "red"}, {}, {"washable": True, "color": "blue"}, {"tags": ["red"]}, {}]
    for number, of in enumerate(values):
        Product.objects.create(sku=f"p{number}", values=of)
    Product.objects.create(sku="none", values=[])  # no object has no keys
    text, result, _ = export(EXPORT)
    assert result == {"rows": 7}
    assert {"color", "washable", "tags"} < set(rows(text)[0])


def test_importing_an_export_changes_nothing(shop):
    load(IMPORT, FILE)
    text, _, files = export(EXPORT)
    assert list(files.made) == ["products.csv"]
    loaded = load(IMPORT, text)
    assert (loaded.counts, loaded.warnings) == ({"unchanged": 2}, [])


def test_every_resource_of_the_catalogue_can_be_read_back(shop):
    load("catalog.category.import", "code;parent;label-en_US\ntop;;Top\nlow;top;Low\n")
    Family.objects.get(code="shoes").attributes.set(Attribute.objects.all())
    Family.objects.update(requirements={"web": ["color", "tags"]}, labels={"en_US": "Shoes"})
    Attribute.objects.filter(code="since").update(date_min="2020-01-01", number_max="1.5")
    for name in ("category", "attribute", "attribute_option", "family"):
        text, result, _ = export(f"catalog.{name}.export")
        assert load(f"catalog.{name}.import", text).counts == {"unchanged": result["rows"]}


def test_another_delimiter_can_be_chosen(shop):
    load(IMPORT, FILE)
    text, _, _ = export(EXPORT, delimiter="tab")
    assert rows(text, "\t")[0]["sku"] == "a"
    assert load(IMPORT, text).counts == {"unchanged": 2}


def test_keys_that_no_column_takes_any_more_are_left_out_and_said(shop):
    Product.objects.create(sku="a", values={"gone": 1, "pages": 2})
    text, _, files = export(EXPORT)
    assert rows(text)[0]["pages"] == "2"
    assert "gone" not in text
    assert files.said == ["Keys left out: gone."]


def test_an_empty_table_gives_a_header(db):
    text, result, _ = export(EXPORT)
    assert text == "sku;name;family;categories;enabled;price-EUR;price-USD\n"
    assert result == {"rows": 0}


texts = st.text(st.sampled_from("ab'=+-@\t\r\n;\"é% \\"), max_size=6)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    products=st.lists(
        st.tuples(texts.filter(bool), texts, texts.filter(bool) | st.none(), texts), max_size=4
    )
)
def test_any_text_comes_back_as_it_was_and_none_looks_like_a_formula(shop, products):
    Product.objects.all().delete()
    for sku, name, note, link in products:
        values = {} if note is None else {"note": note}
        if not Product.objects.filter(sku__iexact=sku).exists():
            links = {"parent": link} if link else {}
            Product.objects.create(sku=sku, name=name, values=values, links=links)
    text, result, _ = export(EXPORT)
    cells = [cell for row in rows(text) for cell in row.values()]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    loaded = load(IMPORT, text)
    assert [warning.code for warning in loaded.warnings] == ([] if products else ["no_rows"])
    assert loaded.counters.unchanged == result["rows"] == loaded.counters.processed


def test_codes_with_apostrophes_in_lists_come_back(shop):
    for code in ("=x", "'y"):
        Category.objects.create(code=code)
    product = Product.objects.create(sku="a")
    product.categories.set(Category.objects.filter(code__in=["=x", "'y"]))
    text, _, _ = export(EXPORT)
    assert load(IMPORT, text).counts == {"unchanged": 1}


@pytest.mark.django_db(transaction=True)
def test_an_export_through_the_platform_leaves_its_file(shop):
    Product.objects.create(sku="a", name="A")
    done = run_now(EXPORT)
    assert (done.status, done.error, done.result) == ("completed", "", {"rows": 1})
    (made,) = done.files.filter(role="output")
    assert made.name == "products.csv"
    with made.file.open("rb") as file:
        assert file.read().decode() == export(EXPORT)[0]
    (step,) = done.steps.all()
    assert (step.done, step.total) == (1, 1)


@pytest.fixture
def many(db):
    Product.objects.bulk_create(Product(sku=f"p{number:05}") for number in range(3000))


@pytest.mark.parametrize("last", ["p02999", "p01500", "p00000"])
def test_a_row_that_cannot_be_written_is_said_wherever_it_stands(many, last):
    Product.objects.filter(sku=last).update(name="\u6f22")
    with pytest.raises(JobError, match="does not exist in the encoding"), transaction.atomic():
        export(EXPORT, encoding="cp1252")
    assert Product.objects.count() == 3000


@pytest.mark.parametrize("taken", [1, 2, 1000])
def test_an_export_can_be_left_at_any_line(many, taken):
    with connection.cursor() as cursor, suppress(DatabaseError), transaction.atomic():
        source = RowSource(Selection(resource=find(EXPORT).resource), cursor.cursor)
        with closing(source.lines(AS_CSV, source.columns(), WriteOptions())) as lines:
            assert list(islice(lines, taken))
        cursor.execute("SELECT 1")  # refused where the rest of the rows was cancelled
    assert Product.objects.count() == 3000


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_a_file_does_not_depend_on_what_comes_together(many, kind, monkeypatch):
    monkeypatch.setattr("jobs.formats.parquet_writer.GROUP_BYTES", 10_000)
    Product.objects.filter(sku__endswith="00").update(name=" spaced ")
    made = []
    for lines in (1, 7, 512):
        monkeypatch.setattr("jobs.recipes.row_source.LINES", lines)
        files, _ = export_files(EXPORT, format=kind)
        made += [contents(file, kind) for file in files.made.values()]
    assert made[0] == made[1] == made[2]


NO_COSTS = (
    "parallel_tuple_cost", "parallel_setup_cost",
    "min_parallel_table_scan_size", "min_parallel_index_scan_size",
)  # fmt: skip


@pytest.mark.parametrize("kind", sorted(WRITERS))
@pytest.mark.parametrize("order", ["", "-color", "name,-price-EUR", "family,-sku"])
def test_parallel_workers_write_the_same_file(shop, kind, order):
    load(IMPORT, FILE)
    for number in range(40):
        values = {"color": ["red", "=blue"][number % 2], "tags": ["red"] * (number % 3)}
        price = number % 7 or None
        Product.objects.create(sku=f"-{number}", price_eur=price, values=values)
    wanted = {"format": kind, "order": order.split(",") if order else []}
    alone, _ = export_files(EXPORT, **wanted)
    with connection.cursor() as cursor:
        for setting in NO_COSTS:
            cursor.execute(f"SET LOCAL {setting} = 0")
        cursor.execute("SET LOCAL cpu_tuple_cost = 1000")
        shared, _ = export_files(EXPORT, **wanted)
        assert "Workers Planned" in plan(cursor, kind, wanted["order"])
    ((name, made),) = shared.made.items()
    assert contents(made, kind) == contents(alone.made[name], kind)


def contents(file: bytes, kind: str) -> object:
    """The bytes of a file; of a workbook those of its parts, as it holds the time of day too."""
    if kind != "xlsx":
        return file
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def plan(cursor, kind: str, order: list[str]) -> str:
    """How PostgreSQL would run an export."""
    selection = Selection(resource=find(EXPORT).resource, order=tuple(order))
    source = RowSource(selection, cursor)
    selected, _ = source.select(WRITERS[kind].copies, source.columns(), WriteOptions())
    cursor.execute(f"EXPLAIN {selected}", source.params)
    return "\n".join(line for (line,) in cursor.fetchall())
