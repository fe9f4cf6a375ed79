"""Exports in every format: what they hold, and that importing them changes nothing."""

import csv
import gzip
import io
import json
import zipfile

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from catalog.models import Attribute, Category, Family, Product
from jobs.definition import JobError, find
from jobs.formats.writing import WRITERS
from tests.recipes.driver import export, export_files, load

pytestmark = pytest.mark.django_db
IMPORT, EXPORT = "catalog.product.import", "catalog.product.export"
FORMATS = sorted(WRITERS)


@pytest.fixture
def shop(families, attributes, choices):
    """Attributes of every type, and three products that have values of them."""
    Attribute.objects.create(code="since", type="date", date_min="2020-01-01", number_max="1.5")
    Attribute.objects.create(code="text", type="textarea", localizable=True)
    Family.objects.filter(code="shoes").update(labels={"en_US": "Fine shoes"})
    load(
        IMPORT,
        "sku;name;family;categories;enabled;price-EUR;price-USD;parent;color;pages;tags;"
        "text-en_US;washable;since;weight;weight-unit;note\n"
        'a;Amor;shoes;Hats,shoes;1;12.50;0.10;m;red;3;blue,red;"say ""hi""; bye";1;2024-02-29;'
        "2.500;KG;=1+1\n"
        '007;"two\nlines";Hats;;0;1;;;;;;;0;;;;" spaced "\n'
        "c;;;;1;9999999999.99;;;;;;\\;;;;;\n",
    )
    assert Product.objects.count() == 3


def table(file: bytes, kind: str) -> list[dict[str, object]]:
    """The rows of a file, as somebody else's library reads them."""
    match kind:
        case "csv":
            text = io.StringIO(file.decode("utf-8-sig"), newline="")
            return list(csv.DictReader(text, delimiter=";"))
        case "jsonl":
            return [json.loads(line) for line in file.decode().splitlines()]
        case "json":
            return json.loads(file)
        case "parquet":
            return parquet.read_table(io.BytesIO(file)).to_pylist()
    header, *rows = openpyxl.load_workbook(io.BytesIO(file)).active.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def one_file(**parameters) -> bytes:
    files, _ = export_files(EXPORT, **parameters)
    (made,) = files.made.values()
    return made


@pytest.mark.parametrize("kind", FORMATS)
def test_importing_an_export_changes_nothing(shop, kind):
    for name in ("category", "attribute", "attribute_option", "family", "product"):
        files, result = export_files(f"catalog.{name}.export", format=kind)
        ((file_name, made),) = files.made.items()
        assert file_name.endswith(f".{kind}")
        loaded = load(f"catalog.{name}.import", made, called=file_name)
        assert (loaded.error, loaded.warnings) == ("", []), name
        assert loaded.counts == {"unchanged": result["rows"]}, name


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_the_same_rows_in_types_of_its_own(shop, kind):
    third, first, second = table(one_file(format=kind, order=["-sku"]), kind)
    expected = {
        "csv": {"price-EUR": "12.50", "enabled": "1", "pages": "3", "tags": "blue,red"},
        "xlsx": {"price-EUR": 12.5, "enabled": True, "pages": "3", "tags": "blue,red"},
        "jsonl": {"price-EUR": 12.5, "enabled": True, "pages": 3, "tags": ["blue", "red"]},
        "parquet": {"enabled": True, "pages": "3", "tags": "blue,red"},
    }
    expected["json"] = expected["jsonl"]
    assert first | expected[kind] == first
    assert str(first["price-EUR"]).rstrip("0") == "12.5"
    assert second["sku"] == "007"
    assert second["name"] == "two\nlines"
    assert second["note"] == " spaced "
    assert third["text-en_US"] == "\\"
    assert first["note"] == ("'=1+1" if kind == "csv" else "=1+1")


texts = st.text(
    st.sampled_from("ab0'=+-@\t\r\n;,\"é😀% \\_x&<>]{}\x01\x1f\x7f\u2028\ufeff\ufffe\uffff"),
    max_size=7,
) | st.sampled_from(["_x000D_", "_x005F_", "0012", "1e5", "TRUE", "null", "\\N", "\\.", "]]>"])


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("kind", FORMATS)
@given(
    products=st.lists(
        st.tuples(
            texts.filter(bool),
            texts,
            texts.filter(bool) | st.none(),
            st.decimals(0, 10**9, places=2) | st.none(),
        ),
        max_size=5,
    )
)
def test_any_text_comes_back_as_it_was(families, attributes, kind, products):
    Product.objects.all().delete()
    for sku, name, note, price in products:
        values = {} if note is None else {"note": note}
        if not Product.objects.filter(sku__iexact=sku).exists():
            Product.objects.create(sku=sku, name=name, values=values, price_eur=price)
    files, result = export_files(EXPORT, format=kind)
    (made,) = files.made.values()
    if kind == "xlsx":
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(made)).get_sheet_by_index(0)
        assert len(sheet.to_python()) == result["rows"] + 1
    loaded = load(IMPORT, made, called=f"products.{kind}")
    if products:
        assert (loaded.error, loaded.warnings) == ("", [])
    assert loaded.counters.unchanged == result["rows"] == loaded.counters.processed


def test_filters_columns_and_order_are_those_asked_for(shop):
    text, result, _ = export(
        EXPORT,
        filters=[{"field": "family", "operator": "not empty"}],
        columns=["sku", "family.label-en_US", "weight-unit", "tags"],
        order=["-sku"],
        search="o",
    )
    assert text == "sku;family.label-en_US;weight-unit;tags\na;Fine shoes;KG;blue,red\n007;;;\n"
    assert result == {"rows": 2}


def test_the_header_has_labels_or_is_left_out(shop):
    chosen = {"columns": ["sku", "price-EUR", "family"], "order": ["sku"]}
    text, _, _ = export(EXPORT, header="labels", **chosen)
    assert text.splitlines()[0] == "SKU;Price in euros;Family"
    text, _, _ = export(EXPORT, header="none", **chosen)
    assert text == "007;1.00;Hats\na;12.50;shoes\nc;9999999999.99;\n"
    (first, *_) = table(one_file(header="labels", format="jsonl", **chosen), "jsonl")
    assert list(first) == ["SKU", "Price in euros", "Family"]


def test_labels_that_stand_twice_are_told_apart(shop):
    text, _, _ = export(
        EXPORT, header="labels", columns=["sku", "family", "family.code"], search="amor"
    )
    assert text.splitlines()[0] == "SKU;Family;Family: Code"
    text, _, _ = export("catalog.family.export", header="labels", search="shoes")
    assert len(set(text.splitlines()[0].split(";"))) == len(text.splitlines()[0].split(";"))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("pack", ["none", "gzip", "zip"])
def test_rows_are_split_into_files_that_may_be_packed(shop, kind, pack):
    parameters = {"format": kind, "pack": pack, "rows_per_file": 2, "file_name": "p"}
    files, result = export_files(EXPORT, order=["sku"], **parameters)
    assert result == {"rows": 3, "files": 2}
    made = files.made
    if pack == "zip":
        assert list(made) == ["p.zip"]
        with zipfile.ZipFile(io.BytesIO(made["p.zip"])) as archive:
            made = {name: archive.read(name) for name in archive.namelist()}
    elif pack == "gzip":
        made = {name.removesuffix(".gz"): gzip.decompress(of) for name, of in made.items()}
    assert list(made) == [f"p-1.{kind}", f"p-2.{kind}"]
    rows = [[row["sku"] for row in table(file, kind)] for file in made.values()]
    assert rows == [["007", "a"], ["c"]]


@pytest.mark.parametrize("kind", FORMATS)
def test_no_rows_make_one_file_without_rows(db, kind):
    files, result = export_files(EXPORT, format=kind, rows_per_file=5)
    assert result == {"rows": 0}
    ((name, made),) = files.made.items()
    assert name == f"products-1.{kind}"
    assert table(made, kind) == []


@pytest.mark.parametrize("pack", ["gzip", "zip"])
def test_a_packed_export_can_be_imported_as_it_is(shop, pack):
    assert load(IMPORT, one_file(pack=pack)).counts == {"unchanged": 3}


def test_raw_leaves_formulas_as_they_are(shop):
    text, _, _ = export(EXPORT, raw=True, columns=["note"], search="amor")
    assert text == "note\n=1+1\n"


def test_an_encoding_that_lacks_a_character_is_said(shop):
    Product.objects.filter(sku="a").update(name="é 😀")
    assert one_file(encoding="utf-8-sig").startswith(b"\xef\xbb\xbfsku;")
    with pytest.raises(JobError, match=r"does not exist in the encoding cp1252\. Choose UTF-8"):
        one_file(encoding="cp1252")
    Product.objects.filter(sku="a").update(name="é €")
    assert "é €".encode("cp1252") in one_file(encoding="cp1252")


def test_a_writer_that_gives_up_ends_the_export(shop):
    """The COPY that it reads from is closed, or the transaction would wait for it for ever."""
    for number in range(2000):
        Product(sku=f"s{number}", name="x").save()
    attribute = Attribute.objects.create(code="long", type="text")
    Product.objects.filter(sku="a").update(values={attribute.code: "x" * 40_000})
    with pytest.raises(JobError, match=r"A text in the column 'long' has 40,000 characters"):
        one_file(format="xlsx")


def test_a_name_longer_than_those_of_postgresql_stays_whole(shop):
    codes = ["long" * 20 + end for end in ("1", "2")]
    for code in codes:
        Attribute.objects.create(code=code, type="text")
    Product.objects.filter(sku="a").update(values={codes[0]: "x", codes[1]: "y"})
    first, *_ = table(one_file(format="jsonl", order=["-sku"], search="amor"), "jsonl")
    assert (first[codes[0]], first[codes[1]]) == ("x", "y")


def test_a_resource_of_one_moment_and_one_truth_has_them_in_every_format(shop):
    class Dated(find(EXPORT).resource):
        name = "catalog.dated"
        fields = ["sku", "created_at", "enabled"]
        aliases = {}
        extra = {}

    class Export(find(EXPORT)):
        resource = Dated

    moment = Product.objects.get(sku="a").created_at
    for kind in FORMATS:
        files, _ = export_files(Export, format=kind, search="a", order=["sku"])
        ((_, made),) = files.made.items()
        (row,) = table(made, kind)
        assert row["enabled"] in (True, "1")
        if kind == "parquet":
            assert row["created_at"] == moment
        else:
            assert row["created_at"] == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_what_an_export_asks_for_is_checked_by_its_form(shop):
    form = find(EXPORT).Parameters(
        {"columns": "sku, shoe", "filters": '[{"field": "sku", "operator": "<"}]', "order": "x"}
    )
    assert not form.is_valid()
    assert set(form.errors) == {"columns", "filters", "order"}
    good = find(EXPORT).Parameters({"columns": "sku,name", "order": ["-sku"]})
    assert good.is_valid(), good.errors
    assert good.cleaned_data["columns"] == ["sku", "name"]


def test_what_an_export_needs_follows_from_what_it_reads(shop):
    needs = find(EXPORT).needs
    assert needs({}) == {"catalog.view_product"}
    assert needs({"raw": True}) == {"catalog.view_product", "jobs.export_raw"}
    assert needs({"columns": ["family.code"]}) == {"catalog.view_product"}
    by_label = {"order": ["family.label-en_US"]}
    assert needs(by_label) == {"catalog.view_product", "catalog.view_family"}
    assert Category.objects.exists()
