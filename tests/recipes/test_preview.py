"""What is guessed of a file before it is imported."""

import pytest
from django.core.files.base import ContentFile
from hypothesis import given
from hypothesis import strategies as st

from catalog.jobs import ProductResource
from catalog.models import Attribute
from jobs import control
from jobs.definition import find
from jobs.preview import Guess, guess_types, preview, suggest_mapping

PRODUCTS = find("catalog.product.import")
in_the_database = pytest.mark.django_db


def uploaded(content: bytes):
    return control.upload(ContentFile(content, name="a.csv"), user=None)


@in_the_database
def test_a_file_is_shown_as_an_import_would_read_it(attributes):
    content = "SKU;Name;Price EUR;Since;Colour\n" + "a;A;1,50;31.12.2026;x\n" * 60
    found = preview(PRODUCTS, uploaded(content.encode()), {"delimiter": ";"})
    assert found.fault == ""
    assert "separated by semicolons" in found.said
    assert found.header == ["SKU", "Name", "Price EUR", "Since", "Colour"]
    assert found.rows == [["a", "A", "1,50", "31.12.2026", "x"]] * 50
    assert [guess.kind for guess in found.guesses] == ["text", "text", "number", "date", "text"]
    assert (found.decimal, found.date_format) == (",", "dd.MM.yyyy")
    assert found.mapping == {
        "SKU": "sku", "Name": "name", "Price EUR": "price-EUR", "Since": None, "Colour": None,
    }  # fmt: skip
    assert {"sku", "price-EUR", "weight-unit"} <= set(found.known)


@in_the_database
def test_a_file_that_cannot_be_read_says_why():
    found = preview(PRODUCTS, uploaded(b""))
    assert found.fault == "The file is empty: its first line must name the columns."
    assert "sku" in found.known
    broken = preview(PRODUCTS, uploaded(b'sku;name\na;A\nb;"open\n'))
    assert broken.rows == [["a", "A"]]
    assert "line 3 is broken" in broken.fault


@in_the_database
def test_columns_are_found_by_name_alias_and_label_whatever_their_case(attributes):
    header = ["Sku", "PRICE_EUR", "price in dollars", "Weight", "weight unit", "__row", "Family"]
    assert suggest_mapping(ProductResource(), header) == {
        "Sku": "sku",
        "PRICE_EUR": "price-EUR",
        "price in dollars": "price-USD",
        "Weight": "weight",
        "weight unit": "weight-unit",
        "__row": "",
        "Family": "family",
    }


@in_the_database
def test_no_column_is_suggested_twice():
    found = suggest_mapping(ProductResource(), ["sku", "SKU", "Name", "NAME"])
    assert found == {"sku": "sku", "SKU": None, "Name": "name", "NAME": None}


@pytest.mark.parametrize(
    ("cells", "guess"),
    [
        (["", " "], Guess("empty")),
        (["1", "-20", ""], Guess("whole number")),
        (["1", "2.5"], Guess("number", decimal=".")),
        (["1", "2,5"], Guess("number", decimal=",")),
        (["1.5", "2,5"], Guess("text")),
        (["Yes", "no"], Guess("truth value")),
        (["2026-12-31"], Guess("date")),
        (["2026-12-31T10:00"], Guess("time")),
        (["31.12.2026", "01.02.2026"], Guess("date", date_format="dd.MM.yyyy")),
        (["12/31/2026", "01/02/2026"], Guess("date", date_format="MM/dd/yyyy")),
        (["31/12/2026", "01/02/2026"], Guess("date", date_format="dd/MM/yyyy")),
        (["31/31/2026"], Guess("text")),
        (["a", "1"], Guess("text")),
    ],
)
def test_types_are_guessed_from_all_cells(cells, guess):
    assert guess_types(["one"], [[cell] for cell in cells]) == [guess]


@given(st.lists(st.lists(st.text(max_size=8), max_size=4), max_size=6))
def test_any_rows_have_a_guess_for_each_column(rows):
    assert len(guess_types(["a", "b", "c"], rows)) == 3


@in_the_database
def test_attributes_of_one_column_are_offered():
    Attribute.objects.create(code="title", type="text", localizable=True)
    Attribute.objects.create(code="color", type="text")
    assert "color" in ProductResource().names()
    assert "title" not in ProductResource().names()
