"""What an import writes, and what it leaves out with which warning."""

import gc
import weakref

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Lower
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.jobs import ProductResource
from catalog.models import Attribute, AttributeOption, Product
from jobs import Resource, Skip
from jobs.formats.base import Batch
from jobs.recipes.headers import read_header
from jobs.recipes.rows import RowParser
from jobs.recipes.staging import staged_fields
from jobs.testing import run_now
from tests.recipes.driver import import_of, load
from tests.samples.models import Stock

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"


def versions() -> list[tuple[str, str]]:
    """The row versions of all products, and how far the sequence has come."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text, ctid::text FROM catalog_product ORDER BY id")
        rows = cursor.fetchall()
        cursor.execute("SELECT last_value::text, '' FROM catalog_product_id_seq")
        return rows + cursor.fetchall()


def product(sku: str) -> Product:
    return Product.objects.get(sku=sku)


# --- Creating, updating, leaving alone ----------------------------------------------------------


def test_rows_are_created_updated_or_unchanged_and_counted_as_that(families):
    first = load(PRODUCTS, "sku;name;family;price-EUR\na;A;shoes;1.50\nb;B;;\n")
    assert first.counts == {"created": 2}
    assert first.warnings == []
    second = load(PRODUCTS, "sku;name;family;price-EUR\na;A;hats;1.5\nb;B;;\nc;C;hats;2\n")
    assert second.counts == {"created": 1, "updated": 1, "unchanged": 1}
    assert product("a").family.code == "Hats"
    assert product("c").price_eur == 2


def test_an_unchanged_file_writes_no_row_and_takes_no_sequence_value(families, attributes):
    file = "sku;name;family;categories;note;weight;weight-unit\n" + "".join(
        f"p{n};N {n};shoes;shoes,hats;it's {n};{n};GRAM\n" for n in range(50)
    )
    assert load(PRODUCTS, file, size=20).counts == {"created": 50}
    before = versions()
    assert load(PRODUCTS, file, size=20).counts == {"unchanged": 50}
    assert versions() == before


def test_absent_columns_keep_their_values_and_empty_cells_clear_them(families, attributes):
    load(PRODUCTS, "sku;name;family;enabled;price-EUR;note;pages\na;A;shoes;0;9.99;hello;7\n")
    load(PRODUCTS, "sku;name\na;B\n")
    found = product("a")
    assert (found.name, found.family.code, found.enabled) == ("B", "shoes", False)
    assert found.values == {"note": "hello", "pages": 7}
    load(PRODUCTS, "sku;family;enabled;price-EUR;note\na;;;;\n")
    found = product("a")
    assert (found.name, found.family, found.enabled, found.price_eur) == ("B", None, True, None)
    assert found.values == {"pages": 7}


def test_new_rows_get_the_defaults_of_absent_columns():
    load(PRODUCTS, "sku\na\n")
    found = product("a")
    assert (found.name, found.enabled, found.values, found.links) == ("", True, {}, {})
    assert found.created_at
    assert found.created_at == found.updated_at


def test_rows_are_updated_without_a_column_that_new_rows_need():
    class StockResource(Resource):
        name = "samples.stock"
        model = Stock
        key = "code"
        fields = ["code", "count", "note"]

    Stock.objects.create(code="a", count=5)
    job = import_of(StockResource)
    loaded = load(job, "code;note\na;here\nb;there\n")
    assert loaded.counts == {"updated": 1, "failed": 1}
    assert loaded.codes == [(2, "count", "blank")]
    assert list(Stock.objects.values_list("code", "count", "note")) == [("a", 5, "here")]
    assert load(job, "code;note\na;here\n").counts == {"unchanged": 1}


def test_an_update_moves_updated_at_alone():
    load(PRODUCTS, "sku;name\na;A\n")
    Product.objects.update(created_at="2020-01-01T00:00Z", updated_at="2020-01-01T00:00Z")
    load(PRODUCTS, "sku;name\na;A\n")
    assert product("a").updated_at.year == 2020
    load(PRODUCTS, "sku;name\na;B\n")
    found = product("a")
    assert found.created_at.year == 2020
    assert found.updated_at.year > 2020


def test_keys_and_references_match_whatever_their_case_and_keep_their_spelling(families):
    load(PRODUCTS, "sku;family\nAbc-É;SHOES\n")
    assert load(PRODUCTS, "sku;family\naBC-é;hats\n").counts == {"updated": 1}
    found = Product.objects.get()
    assert (found.sku, found.family.code) == ("Abc-É", "Hats")


def test_a_key_of_several_columns_finds_the_row_again():
    for code in ("color", "size"):
        Attribute.objects.create(code=code, type="simpleselect")
    options = "catalog.attribute_option.import"
    file = "attribute;code;sort_order\ncolor;red;1\nsize;red;2\nCOLOR;RED;3\n"
    first = load(options, file, size=2)
    assert first.counts == {"created": 2, "updated": 1}
    rows = AttributeOption.objects.order_by("id").values_list("attribute__code", "sort_order")
    assert list(rows) == [("color", 3), ("size", 2)]


def test_many_to_many_links_become_those_of_the_file(families):
    load(PRODUCTS, "sku;categories\na;shoes, hats\nb;shoes\n")
    Product.objects.update(updated_at="2020-01-01T00:00Z")
    second = load(PRODUCTS, "sku;categories\na;hats,hats\nb;shoes\n")
    assert second.counts == {"updated": 1, "unchanged": 1}
    assert [each.code for each in product("a").categories.all()] == ["Hats"]
    assert product("a").updated_at.year > 2020
    assert load(PRODUCTS, "sku;categories\na;\nb;shoes,hats\n").counts == {"updated": 2}
    assert product("a").categories.count() == 0
    assert product("b").categories.count() == 2


def test_several_chunks_are_one_import(families):
    file = "sku;family\n" + "".join(f"s{n};shoes\n" for n in range(10))
    loaded = load(PRODUCTS, file, size=3)
    assert loaded.counts == {"created": 10}
    assert [cursor["row"] for cursor in loaded.cursors] == [3, 6, 9, 10]
    assert loaded.positions[-1] == len(file)


# --- Columns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("name", "The column 'sku' is missing in the file"),
        ("sku;colour;siZe", "The columns 'colour', 'siZe' are not known to catalog.product"),
        ("sku;price-EUR;price_eur", "More than one column of the file fills price_eur"),
        ("sku;weight", "The column 'weight-unit' is missing"),
    ],
)
def test_a_header_that_does_not_fit_ends_the_job_before_any_write(attributes, header, said):
    loaded = load(PRODUCTS, f"{header}\na;b;c\n")
    assert said in loaded.error
    assert loaded.cursors == []


def test_columns_that_are_left_out_on_purpose_are_said():
    loaded = load("catalog.attribute.import", "code;type;wysiwyg_enabled\na;text;1\n")
    assert loaded.counts == {"created": 1}
    assert loaded.said == [
        "Reading file.csv: 35 bytes, CSV in UTF-8, separated by semicolons, 3 columns.",
        "Columns left out: wysiwyg_enabled.",
    ]


def test_a_delimiter_that_does_not_fit_is_named():
    loaded = load(PRODUCTS, "sku,name\na,b\n", delimiter=";")
    assert loaded.error == (
        "The file was read as separated by semicolons, but its header looks separated by commas."
        " Choose that delimiter, or let it be found from the header. Nothing was imported."
    )


def test_a_file_of_a_header_alone_imports_nothing():
    loaded = load(PRODUCTS, "sku;name\n")
    assert (loaded.counts, loaded.error) == ({}, "")
    assert [warning.code for warning in loaded.warnings] == ["no_rows"]


# --- Bad rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        (";A;;;;", "sku", "blank"),
        ("x" * 101 + ";A;;;;", "sku", "too_long"),
        ("a;A;gloves;;;", "family", "unknown_reference"),
        ("a;A;;shoes,gloves,socks;;", "categories", "unknown_reference"),
        ("a;A;;;1,5;", "price-EUR", "invalid_number"),
        ("a;A;;;;perhaps", "enabled", "invalid_choice"),
        ("a;nul\0byte;;;;", "name", "nul_character"),
        ("a;A;;", "", "missing_cells"),
    ],
)
def test_a_bad_value_costs_its_row_and_says_column_value_and_reason(families, cells, column, code):
    header = "sku;name;family;categories;price-EUR;enabled"
    loaded = load(PRODUCTS, f"{header}\ngood;G;shoes;shoes;1;1\n{cells}\nalso;G;;;;\n")
    assert loaded.counts == {"created": 2, "failed": 1}
    assert loaded.codes == [(2, column, code)]
    (warning,) = loaded.warnings
    assert warning.message.endswith(".")
    assert len(warning.value) <= 200
    assert "\0" not in warning.value
    assert set(Product.objects.values_list("sku", flat=True)) == {"good", "also"}


def test_every_bad_column_of_a_row_is_named_and_the_row_counts_once(families):
    loaded = load(PRODUCTS, "sku;family;price-EUR;price-USD\na;x;y;z\n")
    assert loaded.counts == {"failed": 1}
    assert [(each.column, each.value) for each in loaded.warnings] == [
        ("family", "x"),
        ("price-EUR", "y"),
        ("price-USD", "z"),
    ]
    assert {each.key for each in loaded.warnings} == {"a"}


def test_undecodable_bytes_cost_their_row():
    loaded = load(PRODUCTS, b"sku;name\na;ok\nb;\xff\xfe\nc;\xc3\xa9\n", encoding="utf-8")
    assert loaded.counts == {"created": 2, "failed": 1}
    assert loaded.codes == [(2, "name", "undecodable")]
    assert loaded.warnings[0].value == "\\udcff\\udcfe"
    assert product("c").name == "é"


@pytest.mark.parametrize("broken", ['b;"open\nc;C\n', "b;B;more\nc;C\n"])
def test_a_broken_record_ends_the_job_and_the_rows_before_it_stay(broken):
    loaded = load(PRODUCTS, f"sku;name\na;A\n{broken}")
    assert "The record that begins in line 3 is broken" in loaded.error
    assert loaded.counts == {"created": 1}
    assert loaded.cursors[-1] == {"offset": 13, "row": 1, "line": 3}


def test_of_rows_with_one_key_in_a_chunk_the_last_wins():
    loaded = load(PRODUCTS, "sku;name\na;1\nb;1\nA;2\nSTRASSE;1\nÉ;1\na;3\né;2\n")
    assert loaded.counts == {"created": 4, "skipped": 3}
    assert loaded.codes == [(n, "", "superseded") for n in (1, 3, 5)]
    assert loaded.warnings[0].message == "Row 6 has the same key and came later."
    rows = Product.objects.annotate(folded=Lower("sku")).values_list("folded", "name")
    assert dict(rows) == {"a": "3", "b": "1", "strasse": "1", "é": "2"}


def test_keys_that_python_and_postgresql_fold_differently_do_not_collide():
    """Python makes two characters of İ in lower case, and a ς of a final Σ; PostgreSQL may not."""
    file = "sku;name\nİx;1\ni̇x;2\nΟΔΟΣ;3\nοδος;4\nοδοσ;5\n"
    loaded = load(PRODUCTS, file)
    kept = Product.objects.annotate(folded=Lower("sku")).values_list("folded").distinct().count()
    assert loaded.counters.created == kept == Product.objects.count()
    assert loaded.counters.created + loaded.counters.skipped == 5
    assert load(PRODUCTS, file).counters.created == 0


def test_of_rows_with_one_key_in_two_chunks_the_later_corrects_the_earlier():
    loaded = load(PRODUCTS, "sku;name\na;1\nb;1\nA;2\n", size=1)
    assert loaded.counts == {"created": 2, "updated": 1}
    assert product("a").name == "2"


def test_a_row_that_only_the_database_refuses_costs_that_row():
    rows = [f"p{n};{-1 if n in (3, 17, 18) else n}" for n in range(40)]
    loaded = load(PRODUCTS, "sku;price-EUR\n" + "\n".join(rows))
    assert loaded.counts == {"created": 37, "failed": 3}
    assert loaded.codes == [(row, "price-EUR", "refused") for row in (4, 18, 19)]
    assert {warning.value for warning in loaded.warnings} == {"-1"}
    assert loaded.warnings[0].message == "A price must not be negative."
    assert loaded.warnings[0].key == "p3"


def test_a_reference_that_vanishes_after_it_was_looked_up_costs_the_row(families):
    class Vanishing(ProductResource):
        def clean(self, row):
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM catalog_family WHERE code = 'shoes'")
            return row

    loaded = load(import_of(Vanishing), "sku;family\na;hats\nb;shoes\n")
    assert loaded.counts == {"created": 1, "failed": 1}
    assert loaded.codes == [(2, "", "unknown_reference")]


# --- The resource's own clean -------------------------------------------------------------------


class Careful(ProductResource):
    name = "test.careful"

    def clean(self, row):
        if row["name"] == "skip me":
            raise Skip("It asked for it.")
        if row["name"] == "refuse me":
            raise ValidationError({"name": "It is rude."})
        row["name"] = row["name"].title()
        row["values"]["note"] = f"{row['price_eur']}"
        return row


def test_clean_may_change_skip_or_refuse_a_row(families, attributes):
    file = (
        "sku;name;price-EUR;family;categories;note;pages\n"
        "a;small words;1.50;shoes;shoes,hats;;3\n"
        "b;skip me;;;;;\n"
        "c;refuse me;;;;;\n"
        "d;refuse me;x;;;;\n"
    )
    loaded = load(import_of(Careful), file)
    assert loaded.counts == {"created": 1, "skipped": 1, "failed": 2}
    assert loaded.codes == [
        (2, "", "skipped"),
        (3, "name", "invalid"),
        (4, "price-EUR", "invalid_number"),
    ]
    found = product("a")
    assert (found.name, found.values) == ("Small Words", {"note": "1.50", "pages": 3})
    assert found.categories.count() == 2
    assert load(import_of(Careful), file).counters.unchanged == 1


def test_clean_that_returns_other_fields_is_a_bug_with_a_sentence():
    class Adds(ProductResource):
        name = "test.adds"

        def clean(self, row):
            return row | {"enabled": True}

    with pytest.raises(TypeError, match=r"of test\.adds must return the fields"):
        load(import_of(Adds), "sku;name\na;A\n")


# --- Guards, and positions to go on from --------------------------------------------------------


def test_the_apostrophe_that_guards_a_formula_is_taken_off_once(attributes):
    file = "sku;name;note;price-EUR\n'=a;'=1+1;''-x;'2\n"
    assert load(PRODUCTS, file).counts == {"failed": 1}  # '2 is no guarded number
    load(PRODUCTS, file.replace("'2", "2"))
    found = product("=a")
    assert (found.name, found.values) == ("=1+1", {"note": "'-x"})
    load(PRODUCTS, "sku;name\nb;'tis\n")
    assert product("b").name == "'tis"


cells = st.text(st.sampled_from("abAB;\"\n'=é1 "), max_size=5)
names = st.sampled_from(["a", "A", "b", "c", "d", "e", "É", "é", ""])


def contents() -> list[tuple]:
    """What products hold; which spelling of a key came first depends on the chunks."""
    rows = Product.objects.annotate(folded=Lower("sku")).order_by("folded")
    return list(rows.values_list("folded", "values", "price_eur"))


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(names, cells, st.sampled_from(["1", "-1", "x", ""])), max_size=12),
    size=st.integers(1, 4),
    data=st.data(),
)
def test_going_on_from_any_chunk_gives_the_same_rows(attributes, rows, size, data):
    Product.objects.all().delete()
    file = "sku;note;price-EUR\n" + "".join(
        ";".join(quoted(cell) for cell in row) + "\n" for row in rows
    )
    whole = load(PRODUCTS, file, size=size)
    assert whole.counters.processed == len(rows)
    expected = contents()

    Product.objects.all().delete()
    at = data.draw(st.integers(0, len(whole.cursors)))
    first = load(PRODUCTS, file, size=size, chunks=at) if at else None
    cursor = first.cursors[-1] if first else None
    rest = load(PRODUCTS, file, size=data.draw(st.integers(1, 4)), cursor=cursor)
    assert contents() == expected
    processed = rest.counters.processed + (first.counters.processed if first else 0)
    assert processed == len(rows)


def test_an_import_runs_through_the_platform(families):
    done = run_now(PRODUCTS, {"delimiter": ";"}, {"file": b"sku;family\na;shoes\nb;x\nc;\n"})
    assert (done.status, done.error) == ("completed", "")
    (step,) = done.steps.all()
    assert (step.created, step.failed) == (2, 1)
    (warning,) = done.warnings.all()
    assert (warning.row, warning.key, warning.column, warning.value) == (2, "b", "family", "x")


def test_a_broken_file_fails_the_execution_and_keeps_its_rows():
    done = run_now(PRODUCTS, {}, {"file": b'sku;name\na;A\nb;"open\n'})
    assert done.status == "failed"
    assert "The record that begins in line 3 is broken" in done.error
    assert Product.objects.count() == 1


def test_a_line_end_in_the_last_cell_is_kept_though_the_file_ends_there():
    loaded = load(PRODUCTS, 'sku;name\nk;"x\ny"')
    assert (loaded.counts, loaded.warnings) == ({"created": 1}, [])
    assert Product.objects.get(sku="k").name == "x\ny"


def test_a_bad_cell_does_not_keep_the_rows_of_its_batch():
    """Errors know the frames they went through; a million rows would stay in memory with them."""

    class Cell(str):
        """A text whose end can be seen."""

        __slots__ = ("__weakref__",)

    resource = ProductResource()
    header = read_header(resource, ["sku", "price-EUR"])
    parser = RowParser(resource, header, staged_fields(resource, header.columns))
    records = [[Cell(f"p{n}"), Cell("x" if n == 50 else f"{n}.5")] for n in range(100)]
    watched = weakref.ref(records[10][1])
    gc.disable()
    try:
        parsed = parser.parse(Batch(records, list(range(1, 101))))
        assert len(parsed.warnings) == 1
        del records, parsed.rows
        assert watched() is None
    finally:
        gc.enable()
