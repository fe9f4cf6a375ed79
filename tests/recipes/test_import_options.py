"""What a person can set for an import: columns, spellings, thresholds."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from catalog.jobs import ProductResource
from catalog.models import Attribute, Product
from jobs import convert
from jobs.definition import Counters, InvalidParameters, JobError
from jobs.recipes.spelling import DatePattern, Spelling
from jobs.recipes.threshold import Threshold
from jobs.testing import run_now
from tests.recipes.driver import import_of, load

PRODUCTS = "catalog.product.import"
in_the_database = pytest.mark.django_db


# --- Mapping --------------------------------------------------------------------------------------


@in_the_database
def test_columns_are_mapped_to_those_of_the_resource_or_left_out(families):
    mapping = {"Article": "sku", "Price": "price-EUR", "Remark": "", "Not there": "name"}
    loaded = load(PRODUCTS, "Article;Price;Remark;family\na;1.50;x;shoes\n", mapping=mapping)
    assert (loaded.counts, loaded.error) == ({"created": 1}, "")
    found = Product.objects.get(sku="a")
    assert (found.price_eur, found.family.code, found.name) == (Decimal("1.50"), "shoes", "")
    assert loaded.said[1:] == [
        "Columns mapped: Article as sku, Price as price-EUR.",
        "Columns left out: Remark.",
    ]


@in_the_database
def test_a_warning_names_the_column_as_the_file_does():
    loaded = load(PRODUCTS, "sku;Price\na;cheap\n;1\n", mapping={"Price": "price-EUR"})
    assert loaded.codes == [(1, "Price", "invalid_number"), (2, "sku", "blank")]


@in_the_database
def test_a_column_that_is_left_out_may_have_the_name_of_one_that_is_mapped_to():
    mapping = {"price-EUR": "", "New price": "price-EUR"}
    load(PRODUCTS, "sku;price-EUR;New price\na;1;2\n", mapping=mapping)
    assert Product.objects.get(sku="a").price_eur == 2


@in_the_database
@pytest.mark.parametrize(
    ("header", "mapping", "said"),
    [
        ("sku;nmae", {}, "The column 'nmae' is not known to catalog.product. Did you mean 'name'?"),
        ("sku;Paegs", {}, "Did you mean 'pages'?"),
        ("sku;P", {"P": "prize-EUR"}, "The column 'P', mapped to 'prize-EUR', is not known"),
        ("sku;P;name", {"P": "name"}, "The columns 'P' and 'name' both lead to 'name'"),
        ("sku;name", {"sku": ""}, "The column 'sku' is missing in the file"),
    ],
)
def test_a_mapping_that_cannot_be_followed_ends_the_job_by_name(attributes, header, mapping, said):
    loaded = load(PRODUCTS, f"{header}\na;b;c\n", mapping=mapping)
    assert said in loaded.error
    assert loaded.cursors == []


@in_the_database
def test_the_columns_of_a_rejected_rows_file_are_ignored():
    loaded = load(PRODUCTS, "__row;sku;__reason;name\n17;a;no reason;A\n")
    assert (loaded.counts, loaded.error) == ({"created": 1}, "")


@pytest.mark.parametrize("mapping", [["sku"], {"sku": 1}, {"sku": None}, "sku"])
@in_the_database
def test_a_mapping_must_be_texts_by_name(mapping):
    with pytest.raises(InvalidParameters) as refused:
        run_now(PRODUCTS, {"mapping": mapping}, {"file": b"sku\na\n"})
    assert [*refused.value.errors] == ["mapping"]


# --- Spelling -------------------------------------------------------------------------------------


@in_the_database
def test_numbers_and_dates_are_read_as_the_file_spells_them(attributes):
    Attribute.objects.create(code="since", type="date")
    Attribute.objects.create(code="rating", type="number")
    file = (
        "sku;price-EUR;since;weight;weight-unit;rating;note\n"
        "a;1234,5;31.12.2026;2,5;KILOGRAM;0,25;1,5\n"
        "b;1.234,5;;;;;\n"
        "c;1234.5;;;;;\n"
        "d;1;2026-12-31;;;;\n"
        "e;1;31.02.2026;;;;\n"
    )
    loaded = load(PRODUCTS, file, decimal=",", date_format="dd.MM.yyyy")
    assert loaded.codes == [
        (2, "price-EUR", "invalid_number"),
        (3, "price-EUR", "invalid_number"),
        (4, "since", "invalid_date"),
        (5, "since", "invalid_date"),
    ]
    assert "without separators of thousands, like 1234,5." in loaded.warnings[0].message
    assert loaded.warnings[2].message == "'2026-12-31' is not a date; write it like 31.03.2026."
    found = Product.objects.get()
    assert found.price_eur == Decimal("1234.5")
    assert found.values == {
        "since": "2026-12-31",
        "weight": {"amount": "2.5", "unit": "KILOGRAM"},
        "rating": 0.25,
        "note": "1,5",
    }


def test_our_own_way_costs_nothing():
    number = convert.number()
    assert Spelling().applied(number) is number
    assert Spelling(decimal=",", dates="dd.MM.yyyy").applied(convert.text(5)).__class__ is (
        convert.text
    )


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9)))
def test_a_number_with_a_comma_is_the_number_with_a_point(value):
    text = f"{value:f}"
    read = Spelling(decimal=",").applied(convert.number())
    assert read(text.replace(".", ",")) == convert.number()(text)
    with pytest.raises(ValidationError):
        read(text)


@given(
    st.dates(min_value=date(1000, 1, 1)),
    st.sampled_from(
        ["dd.MM.yyyy", "MM/dd/yyyy", "dd/MM/yyyy", "d.M.yyyy", "yyyyMMdd", "d MM:yyyy"]
    ),
)
def test_a_date_is_read_back_from_every_pattern(day, pattern):
    parts = {
        "yyyy": f"{day.year:04}", "MM": f"{day.month:02}", "dd": f"{day.day:02}",
        "M": str(day.month), "d": str(day.day),
    }  # fmt: skip
    text = pattern
    for part in ("yyyy", "MM", "dd"):
        text = text.replace(part, parts[part])
    if "M" in text or "d" in text:
        text = text.replace("M", parts["M"]).replace("d", parts["d"])
    assert Spelling(dates=pattern).applied(convert.date())(text) == day


def test_a_time_may_follow_a_date_of_any_pattern(settings):
    settings.TIME_ZONE = "UTC"
    read = Spelling(dates="dd.MM.yyyy").applied(convert.moment())
    assert read("31.12.2026 14:30") == datetime(2026, 12, 31, 14, 30, tzinfo=UTC)
    assert read("31.12.2026") == datetime(2026, 12, 31, tzinfo=UTC)
    assert read("31.12.2026T14:30:05+02:00") == datetime(2026, 12, 31, 12, 30, 5, tzinfo=UTC)


def test_files_with_types_may_have_numbers_and_dates_of_both_kinds():
    spelling = Spelling(decimal=",", dates="dd.MM.yyyy", is_typed=True)
    assert spelling.applied(convert.number())("1.5") == Decimal("1.5")
    assert spelling.applied(convert.number())("1,5") == Decimal("1.5")
    assert spelling.applied(convert.date())("2026-12-31") == date(2026, 12, 31)
    assert spelling.applied(convert.date())("31.12.2026") == date(2026, 12, 31)


@pytest.mark.parametrize("pattern", ["", "dd.MM", "dd.MM.yy", "%d.%m.%Y", "dd.MM.yyyy dd", "x"])
def test_a_pattern_without_day_month_and_year_is_refused(pattern):
    with pytest.raises(ValueError, match="is not a date format"):
        DatePattern(pattern)


@in_the_database
def test_a_date_format_that_is_none_is_refused_at_launch():
    with pytest.raises(InvalidParameters) as refused:
        run_now(PRODUCTS, {"date_format": "%d.%m.%Y"}, {"file": b"sku\na\n"})
    assert "it needs yyyy, MM and dd once each" in refused.value.errors["date_format"][0]


# --- Threshold ------------------------------------------------------------------------------------


def test_a_share_is_judged_from_a_hundred_rows_on():
    limit = Threshold(percent=5)
    limit.judge(Counters(created=9, failed=90))
    limit.judge(Counters(created=95, failed=5))
    with pytest.raises(JobError, match="6 of 100 rows failed, more than the 5 % that"):
        limit.judge(Counters(created=94, failed=6))


@in_the_database
def test_too_many_failed_rows_end_an_import_and_say_what_stays():
    file = b"sku;price-EUR\na;1\nb;x\nc;y\nd;2\n"
    done = run_now(PRODUCTS, {"max_failed": 1}, {"file": file})
    assert done.status == "failed"
    assert done.error.startswith("2 of 4 rows failed, more than the 1 that may.")
    assert Product.objects.count() == 2
    assert done.steps.get().failed == done.warnings.count() == done.rejected_rows.count() == 2
    assert run_now(PRODUCTS, {"max_failed": 2}, {"file": file}).status == "completed"


@in_the_database
def test_the_header_is_kept_for_the_rejected_rows():
    done = run_now(PRODUCTS, {}, {"file": b"sku;price-EUR\na;x\n"})
    assert done.steps.get().columns == ["sku", "price-EUR"]
    assert [(each.row, each.cells) for each in done.rejected_rows.all()] == [(1, ["a", "x"])]


# --- Defaults -------------------------------------------------------------------------------------


@in_the_database
def test_new_rows_get_the_defaults_of_columns_that_the_file_lacks(families, attributes):
    load(PRODUCTS, "sku;family;enabled;pages\nold;hats;1;5\n")
    defaults = {
        "family": "shoes", "enabled": "0", "price-EUR": "1,5", "pages": "7", "weight": "2,5",
        "weight-unit": "GRAM", "name": "unused",
    }  # fmt: skip
    loaded = load(PRODUCTS, "sku;name\nold;O\nnew;\n", defaults=defaults, decimal=",")
    assert (loaded.counts, loaded.error) == ({"created": 1, "updated": 1}, "")
    old, new = Product.objects.get(sku="old"), Product.objects.get(sku="new")
    assert (old.name, old.family.code, old.enabled, old.price_eur) == ("O", "Hats", True, None)
    assert old.values == {"pages": 5}
    assert (new.name, new.family.code, new.enabled) == ("", "shoes", False)
    assert new.price_eur == Decimal("1.5")
    assert new.values == {"pages": 7, "weight": {"amount": "2.5", "unit": "GRAM"}}


@in_the_database
def test_defaults_join_the_keys_that_the_file_has(attributes):
    load(PRODUCTS, "sku;note\nold;x\n")
    loaded = load(PRODUCTS, "sku;note\nold;y\nnew;z\n", defaults={"pages": "7", "note": "no"})
    assert loaded.counts == {"created": 1, "updated": 1}
    assert Product.objects.get(sku="old").values == {"note": "y"}
    assert Product.objects.get(sku="new").values == {"note": "z", "pages": 7}


@in_the_database
def test_defaults_hold_for_resources_with_a_clean_of_their_own(families):
    class Cleans(ProductResource):
        name = "test.cleans"

        def clean(self, row):
            return row

    loaded = load(import_of(Cleans), "sku\na\n", defaults={"enabled": "0", "family": "shoes"})
    assert loaded.error == ""
    found = Product.objects.get()
    assert (found.enabled, found.family.code) == (False, "shoes")


@in_the_database
@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"family": "gloves"}, "The default for 'family' cannot be used: There is no family"),
        ({"price-EUR": "cheap"}, "The default for 'price-EUR' cannot be used: 'cheap' is not a"),
        ({"colour": "red"}, "The column 'colour' is not known to catalog.product."),
        ({"categories": "shoes"}, "There can be no default for 'categories'."),
    ],
)
def test_a_default_that_cannot_be_used_ends_the_job_before_any_write(families, defaults, said):
    loaded = load(PRODUCTS, "sku\na\n", defaults=defaults)
    assert loaded.error.startswith(said)
    assert loaded.cursors == []


# --- Formats --------------------------------------------------------------------------------------


@in_the_database
def test_json_and_headerless_files_are_imported_like_others(families):
    line = '{"sku": "a", "categories": ["shoes", "hats"], "enabled": false, "price-EUR": 1.50}\n'
    loaded = load(PRODUCTS, line, format="jsonl")
    assert (loaded.counts, loaded.error) == ({"created": 1}, "")
    found = Product.objects.get(sku="a")
    assert (found.enabled, found.categories.count()) == (False, 2)
    assert found.price_eur == Decimal("1.5")
    mapping = {"A": "sku", "B": "name", "C": ""}
    loaded = load(PRODUCTS, "c;Third;x\n", header="none", delimiter=";", mapping=mapping)
    assert (loaded.counts, loaded.error) == ({"created": 1}, "")
    assert Product.objects.get(sku="c").name == "Third"


@in_the_database
@pytest.mark.parametrize("cell", ["'=1+1", "'-x"])
def test_only_files_for_spreadsheets_have_guards_to_take_off(cell):
    load(PRODUCTS, f'{{"sku": "a", "name": "{cell}"}}\n', format="jsonl")
    load(PRODUCTS, f"sku;name\nb;{cell}\n")
    names = Product.objects.order_by("sku").values_list("name", flat=True)
    assert list(names) == [cell, cell[1:]]
