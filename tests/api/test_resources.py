"""Resources over REST: which one sees, their columns, and their rows a page at a time."""

import pytest
from django.contrib.auth.models import Group, Permission

from catalog.models import Category, Family, Product
from jobs import browsing
from tests.api.support import Api

pytestmark = pytest.mark.django_db

ROWS = "resources/catalog.product/rows/"


@pytest.fixture
def products() -> list[Product]:
    boots = Family.objects.create(code="boots")
    Category.objects.create(code="sale")
    made = [
        Product.objects.create(
            sku=f"S{number:03}",
            family=boots if number % 2 else None,
            price_eur=number,
            enabled=number != 4,
        )
        for number in range(60)
    ]
    made[0].categories.set(Category.objects.all())
    return made


def skus(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["values"]["sku"] for row in answer.json()["results"]]


def test_resources_are_those_that_one_may_view(api, person):
    found = {one["name"]: one for one in api.get("resources/").json()}
    assert "catalog.product" in found
    assert found["catalog.product"]["label"] == "products"
    assert found["catalog.product"]["key"] == ["sku"]
    assert found["catalog.product"]["links"]["rows"].endswith(f"/api/v1/{ROWS}")
    assert Api(person("operator", "Operator")).get("resources/").json() == []


@pytest.mark.parametrize("path", ["", "rows/"])
def test_what_one_may_not_view_does_not_exist(api, person, path):
    operator = Api(person("operator", "Operator"))
    operator.problem(operator.get(f"resources/catalog.product/{path}"), 404, "not-found")
    api.problem(api.get(f"resources/catalog.nothing/{path}"), 404, "not-found")


def test_a_resource_names_its_columns_and_how_they_are_compared(api):
    found = api.get("resources/catalog.attribute/").json()["columns"]
    columns = {column["name"]: column for column in found}
    assert columns["type"]["kind"] == "choice"
    assert {"value": "date", "label": "Date"} in columns["type"]["choices"]
    assert "between" in columns["sort_order"]["operators"]
    assert columns["sort_order"]["sortable"] is True


def test_rows_have_the_values_of_the_columns(api, products):
    first = api.get(f"{ROWS}?columns=sku,family,categories,price-EUR,enabled").json()["results"][0]
    assert first == {
        "key": str(products[0].pk),
        "values": {
            "sku": "S000",
            "family": None,
            "categories": ["sale"],
            "price-EUR": "0.00",
            "enabled": True,
        },
    }


def test_pages_follow_each_other_to_the_end(api, products):
    address, found = f"{ROWS}?order=-price-EUR&page_size=25", []
    while address:
        answer = api.get(address)
        found.append(skus(answer))
        address = answer.json()["next"]
        assert (f'<{address}>; rel="next"' == answer.headers.get("Link")) is bool(address)
    assert [len(page) for page in found] == [25, 25, 10]
    walked = [sku for page in found for sku in page]
    assert walked == [f"S{number:03}" for number in range(59, -1, -1)]


def test_filters_narrow_each_other(api, products):
    query = "filter=family+%3D+boots&filter=price-EUR+between+1,7&search=s00"
    assert skus(api.get(f"{ROWS}?{query}&order=sku")) == ["S001", "S003", "S005", "S007"]
    assert skus(api.get(f"{ROWS}?filter=enabled+is+false")) == ["S004"]
    assert skus(api.get(f'{ROWS}?filter=sku+in+["S001","S002"]')) == ["S001", "S002"]


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ("filter=price-EUR+>+cheap", "filter", "with a number like 1234.5"),
        ("filter=nothing", "filter", "A filter is written as field, operator and value"),
        ("columns=nothing", "columns", "There is no field 'nothing'"),
        ("order=categories", "order", "cannot be ordered by Categories"),
        ("cursor=forged", "cursor", "There is no such page"),
        ("page_size=7", "page_size", "is one of 25, 50, 100"),
        ("colour=red", "colour", "There is no query parameter 'colour'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(api, query, parameter, said):
    found = api.problem(api.get(f"{ROWS}?{query}"), 400, "bad-query")
    assert said in found["detail"]
    assert found["errors"][0]["parameter"] == parameter


def test_values_of_models_that_one_may_not_view_are_refused(api, products):
    Group.objects.get(name="User").permissions.remove(
        Permission.objects.get(codename="view_family")
    )
    column = "family.attribute_as_label"
    for query in (f"columns={column}", f"order={column}", f"filter={column}+empty"):
        found = api.problem(api.get(f"{ROWS}?{query}"), 403, "denied")
        assert found["needs"] == "catalog.view_family"


def test_what_takes_too_long_is_given_up_with_a_sentence(api, products, monkeypatch):
    def give_up(*_, **__):
        raise browsing.TooSlow

    monkeypatch.setattr(browsing, "page", give_up)
    found = api.problem(api.get(f"{ROWS}?search=x"), 400, "bad-query")
    assert "took longer than" in found["detail"]
