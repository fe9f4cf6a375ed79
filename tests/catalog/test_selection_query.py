"""A selection in an address: read as it was written."""

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from jobs.conditions import ALONE, Condition
from jobs.fields import OPERATORS
from jobs.resources import RESOURCES
from jobs.selection import Selection
from jobs.selection_query import LISTS, condition_from, query_of, selection_from, text_of

PRODUCT = RESOURCES["catalog.product"]
NAMES = st.sampled_from(["sku", "price-EUR", "family.label-en_US", "is", "contains_gold"])
WORDS = st.sampled_from(sorted({word for words in OPERATORS.values() for word in words}))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)


@st.composite
def conditions(draw) -> Condition:
    operator = draw(WORDS)
    if operator in ALONE:
        return Condition(draw(NAMES), operator)
    value = draw(st.lists(TEXTS, min_size=1, max_size=4) if operator in LISTS else TEXTS)
    return Condition(draw(NAMES), operator, value)


@given(conditions())
def test_a_condition_is_read_as_it_was_written(condition):
    assert condition_from(text_of(condition)) == condition


@given(
    st.lists(conditions(), max_size=3),
    TEXTS | st.just(""),
    st.lists(NAMES, unique=True),
    st.lists(NAMES, unique=True),
)
def test_a_selection_is_read_as_it_was_written(filters, search, columns, order):
    written = Selection(
        resource=PRODUCT,
        filters=tuple(filters),
        search=search,
        columns=tuple(columns),
        order=tuple(order),
    )
    query = QueryDict(mutable=True)
    for name, value in query_of(written):
        query.appendlist(name, value)
    assert selection_from(PRODUCT, QueryDict(query.urlencode())) == written


@pytest.mark.parametrize("text", ["", "sku", "sku is", "sku likes this", " = 3"])
def test_what_is_no_filter_is_refused_with_an_example(text):
    with pytest.raises(ValidationError, match=r"such as “enabled is true” or “price >= 10”"):
        condition_from(text)


def test_lists_are_written_with_commas_and_as_json_where_values_have_them():
    assert condition_from("sku in a, b") == Condition("sku", "in", ["a", "b"])
    assert text_of(Condition("sku", "in", ["a,b", "c"])) == 'sku in ["a,b", "c"]'
