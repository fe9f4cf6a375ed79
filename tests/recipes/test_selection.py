"""Which rows a selection finds, in which order, and what it says where it cannot be."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Attribute, Category, Family, Product
from jobs.conditions import Condition
from jobs.fields import OPERATORS, Kind, fields_of
from jobs.resources import RESOURCES
from jobs.selection import Selection

pytestmark = pytest.mark.django_db


def select(resource: str = "catalog.product", *filters, **parts) -> Selection:
    listed = [dict(zip(("field", "operator", "value"), one, strict=False)) for one in filters]
    return Selection.from_json(RESOURCES[resource], {"filters": listed, **parts})


def found(*filters, **parts) -> list[str]:
    selection = select("catalog.product", *filters, **parts)
    selection.check()
    return [product.sku for product in selection.queryset()]


def refusal(*filters, **parts) -> str:
    with pytest.raises(ValidationError) as refused:
        select("catalog.product", *filters, **parts).check()
    return " ".join(refused.value.messages)


@pytest.fixture
def shop(families, attributes):
    """Four products that differ in everything."""
    Family.objects.filter(code="shoes").update(labels={"en_US": "Fine shoes"})
    shoes, hats = Family.objects.order_by("-code")
    rows = [
        ("a", "Amor", shoes, True, "10.00", {"note": "red", "pages": 9}),
        ("b", "Bora 100%", hats, False, "2.50", {"note": "blue", "pages": 10}),
        ("C", "", None, True, None, {"weight": {"amount": "2.5", "unit": "KG"}}),
        ("d", "amok", shoes, True, "100.00", {}),
    ]
    for sku, name, family, enabled, price, values in rows:
        Product.objects.create(
            sku=sku, name=name, family=family, enabled=enabled, price_eur=price, values=values
        )
    Product.objects.get(sku="a").categories.set(Category.objects.all())
    Product.objects.get(sku="b").categories.set(Category.objects.filter(code="Hats"))


CASES = [
    (("sku", "=", "c"), "C"),
    (("sku", "!=", "A"), "bCd"),
    (("sku", "in", ["A", "d", "x"]), "ad"),
    (("sku", "in", "a,b"), "ab"),
    (("sku", "not in", ["a", "b"]), "Cd"),
    (("name", "contains", "0%"), "b"),
    (("name", "contains", "MO"), "ad"),
    (("name", "starts with", "am"), "ad"),
    (("name", "empty"), "C"),
    (("name", "not empty"), "abd"),
    (("price-EUR", "=", "10"), "a"),
    (("price_eur", "<", 10), "b"),
    (("price-EUR", "<=", "10"), "ab"),
    (("price-EUR", ">", "9.99"), "ad"),
    (("price-EUR", ">=", "10"), "ad"),
    (("price-EUR", "between", ["2.5", "10"]), "ab"),
    (("price-EUR", "=", "10.001"), ""),
    (("price-EUR", "<", "1" + "0" * 60), "abd"),
    (("pk", "=", "0.5"), ""),
    (("pk", "in", ["9" * 30]), ""),
    (("price-EUR", "!=", "10"), "bCd"),
    (("price-EUR", "empty"), "C"),
    (("enabled", "is true"), "aCd"),
    (("enabled", "is false"), "b"),
    (("family", "=", "SHOES"), "ad"),
    (("family", "!=", "shoes"), "bC"),
    (("family.code", "in", ["hats"]), "b"),
    (("family.label-en_US", "contains", "fine"), "ad"),
    (("family", "empty"), "C"),
    (("categories", "in", ["hats", "shoes"]), "ab"),
    (("categories", "in", ["shoes"]), "a"),
    (("categories", "not in", ["shoes"]), "bCd"),
    (("categories", "empty"), "Cd"),
    (("categories", "not empty"), "ab"),
    (("note", "=", "RED"), "a"),
    (("note", "!=", "red"), "bCd"),
    (("note", "contains", "l"), "b"),
    (("note", "empty"), "Cd"),
    (("pages", ">", "9"), "b"),
    (("pages", "<", 9.5), "a"),
    (("pages", "between", [9, 10]), "ab"),
    (("note", ">", "c"), "a"),
    (("weight", ">=", "2.50"), "C"),
    (("weight-unit", "=", "kg"), "C"),
    (("pk", ">", "0"), "abCd"),
]


@pytest.mark.parametrize(("condition", "expected"), CASES)
def test_every_condition_finds_what_it_says(shop, condition, expected):
    assert "".join(found(condition)) == expected


def test_every_operator_is_tried_above():
    tried = {condition[1] for condition, _ in CASES}
    assert tried == {operator for operators in OPERATORS.values() for operator in operators}


def test_conditions_and_words_of_a_search_must_all_hold(shop):
    assert found(("family", "=", "shoes"), ("price-EUR", ">", 50)) == ["d"]
    assert found(search="am SHO") == ["a", "d"]
    assert found(search="amor hats") == []
    assert found(search="100%") == ["b"]


def test_rows_come_in_the_order_asked_for_with_empty_values_last(shop):
    assert found(order=["-price-EUR"]) == ["d", "a", "b", "C"]
    assert found(order=["family", "-sku"]) == ["b", "d", "a", "C"]
    assert found(order=["note"]) == ["b", "a", "C", "d"]


def test_a_relation_to_many_finds_a_row_once(shop):
    assert found(("categories", "in", ["Hats", "shoes"]), ("categories", "not empty")) == ["a", "b"]


def test_a_time_is_compared_as_one(shop):
    class Dated(RESOURCES["catalog.product"]):
        fields = ["sku", "updated_at"]
        name = "dated"

    def since(text):
        return Selection(resource=Dated, filters=(Condition("updated_at", ">=", text),))

    assert since("2020-01-01").queryset().count() == 4
    assert since("2200-01-01T12:00").queryset().count() == 0
    with pytest.raises(ValidationError, match=r"Updated at is compared by '>=' with a time like"):
        since("soon").check()


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (("shoe", "=", 1), "There is no field 'shoe' in catalog.product; there are: sku, name"),
        (("created_at", "=", 1), "There is no field 'created_at'"),
        (("family.id", "=", 1), "There is no field 'id' in catalog.family"),
        (("categories.code", "=", 1), "leads over categories, which has many rows"),
        (("sku", "<", "a"), "SKU cannot be compared by '<'; it can by =, !=, in"),
        (("price-EUR", "=", "ten"), "Price in euros is compared by '=' with a number like 1234.5;"),
        (("price-EUR", "=", "NaN"), "'NaN' is none"),
        (("price-EUR", "=", "1e999999"), "'1e999999' is none"),
        (("price-EUR", "between", [1]), "with two values; here are 1"),
        (("price-EUR", "in", 5), "with a list of 1 to 10,000 values; '5' is none"),
        (("sku", "=", ""), "so a value is needed"),
        (("sku", "=", "a\0"), "so a value is needed"),
        (("sku", "in", []), "with a list of 1 to 10,000 values"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(shop, condition, said):
    assert said in refusal(condition)


def test_a_choice_is_one_of_its_values(shop):
    with pytest.raises(ValidationError, match=r"Type is never 'shoe'; it is one of identifier, "):
        select("catalog.attribute", ("type", "=", "shoe")).check()
    selection = select("catalog.attribute", ("type", "in", ["text", "metric"]), order=["code"])
    assert [each.code for each in selection.queryset()] == ["note", "weight"]
    assert Attribute.objects.count() == 3


def test_everything_wrong_is_said_at_once_and_by_part(shop):
    with pytest.raises(ValidationError) as refused:
        select(
            "catalog.product", ("x", "=", 1), order=["y"], columns=["z", "sku", "sku"], search="\0"
        ).check()
    assert set(refused.value.message_dict) == {"filters", "order", "columns", "search"}
    assert len(refused.value.message_dict["columns"]) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "A selection is a JSON object"),
        ({"filter": []}, "A selection has no 'filter'"),
        ({"filters": "x"}, "Filters are a list"),
        ({"filters": ["x"]}, "A filter is written"),
        ({"filters": [{"field": "sku", "operator": "=", "val": 1}]}, "A filter has no 'val'"),
        ({"columns": [1]}, "Columns are a list of names"),
    ],
)
def test_json_that_is_no_selection_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        Selection.from_json(RESOURCES["catalog.product"], given)


def test_a_selection_survives_json():
    selection = select(
        "catalog.product",
        ("sku", "in", ["a"]),
        ("name", "empty"),
        columns="sku,name",
        order=["-sku"],
        search="x",
    )
    assert Selection.from_json(selection.resource, selection.to_json()) == selection


def test_a_selection_can_be_said_in_words():
    selection = select(
        "catalog.product",
        ("family", "in", ["a", "b", "c", "d", "e", "f"]),
        ("price-EUR", "between", [1, 2]),
        ("name", "empty"),
        order=["-sku"],
        search="amor",
    )
    assert selection.in_words() == (
        "products whose Family is one of a, b, c, d, e and 1 more and Price in euros is between 1 "
        "and 2 and Name is empty, found by “amor”, by SKU descending"
    )


def test_the_fields_of_a_resource_are_its_columns_and_those_of_its_relations(shop):
    fields = {field.name: field for field in fields_of(RESOURCES["catalog.product"])}
    assert list(fields)[:7] == [
        "sku", "name", "family", "categories", "enabled", "price-EUR", "price-USD",
    ]  # fmt: skip
    assert {"note", "pages", "weight", "weight-unit", "family.attribute_as_label"} <= set(fields)
    assert fields["family"].kind is Kind.TEXT
    assert fields["price-EUR"].kind is Kind.NUMBER
    assert "family.code" not in fields


def test_models_behind_a_way_over_a_relation_are_named():
    product, family = Product, Family
    assert select("catalog.product", columns=["sku", "family"]).models() == {product}
    assert select("catalog.product", columns=["family.code"]).models() == {product}
    assert select("catalog.product", order=["-family.label-en_US"]).models() == {product, family}
    hidden = select("catalog.product", ("family.label-x", "empty"))
    assert hidden.models() == {product, family}


texts = st.text(max_size=8) | st.integers().map(str) | st.none() | st.lists(st.text(max_size=3))


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    field=st.sampled_from([case[0][0] for case in CASES]),
    operator=st.sampled_from(sorted({case[0][1] for case in CASES})),
    value=texts,
)
def test_whatever_people_ask_is_answered_or_refused(shop, field, operator, value):
    """The database never sees a question that it cannot answer."""
    selection = Selection(
        resource=RESOURCES["catalog.product"],
        filters=(Condition(field, operator, value),),
        search=value[:20] if isinstance(value, str) else "",
    )
    try:
        selection.check()
    except ValidationError:
        return
    assert 0 <= selection.queryset().count() <= 4
