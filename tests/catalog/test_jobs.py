"""The sample domain: values typed by attributes, and the files it reads."""

import filecmp

import pytest

from catalog import sample
from catalog.models import Attribute, AttributeOption, Category, Family, Product
from jobs.definition import DECLARED_PROFILES, find
from jobs.resources import RESOURCES
from tests.recipes.driver import export, load

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"
ORDER = ("category", "attribute", "attribute_option", "family", "product")
FILES = {
    "category": "categories.csv",
    "attribute": "attributes.csv",
    "attribute_option": "attribute_options.csv",
    "family": "families.csv",
    "product": "products.csv",
}


@pytest.fixture
def attributes():
    """One attribute of each type, some with limits."""
    Attribute.objects.create(code="Color", type="simpleselect")
    Attribute.objects.create(code="tags", type="multiselect")
    for attribute in Attribute.objects.all():
        for code in ("Red", "blue"):
            AttributeOption.objects.create(attribute=attribute, code=code)
    for code, kind, more in (
        ("pages", "number", {"decimals_allowed": False, "negative_allowed": False}),
        ("ratio", "number", {"number_max": 10}),
        ("washable", "boolean", {}),
        ("since", "date", {"scopable": True, "date_min": "2020-01-01"}),
        ("title", "text", {"localizable": True, "max_characters": 5}),
        ("about", "textarea", {"localizable": True, "scopable": True}),
        ("weight", "metric", {"default_metric_unit": "GRAM"}),
        ("length", "metric", {}),
        ("price", "price", {}),
        ("image", "image", {}),
    ):
        Attribute.objects.create(code=code, type=kind, **more)


def values(header: str, cells: str) -> dict:
    loaded = load(PRODUCTS, f"sku;{header}\na;{cells}\n")
    assert loaded.warnings == []
    return Product.objects.get().values


@pytest.mark.parametrize(
    ("header", "cells", "kept"),
    [
        ("color", "RED", {"Color": "Red"}),
        ("tags", "blue, Red", {"tags": ["blue", "Red"]}),
        ("pages", "12", {"pages": 12}),
        ("washable", "0", {"washable": False}),
        ("since-web", "2024-02-29", {"since-web": "2024-02-29"}),
        ("title-en_US", "Hello", {"title-en_US": "Hello"}),
        ("about-en_US-web", "two\\nlines", {"about-en_US-web": "two\\nlines"}),
        ("weight;weight-unit", "2.50;KG", {"weight": {"amount": "2.50", "unit": "KG"}}),
        ("weight-unit;weight", ";2.50", {"weight": {"amount": "2.50", "unit": "GRAM"}}),
        ("price-CHF", "7.10", {"price-CHF": 7.1}),
        ("image", "a/b.jpg", {"image": "a/b.jpg"}),
    ],
)
def test_a_value_is_kept_in_the_type_of_its_attribute(attributes, header, cells, kept):
    assert values(header, cells) == kept


@pytest.mark.parametrize(
    ("header", "cells", "column", "code"),
    [
        ("color", "green", "color", "unknown_reference"),
        ("tags", "blue,green", "tags", "unknown_reference"),
        ("pages", "1.5", "pages", "invalid_number"),
        ("pages", "-1", "pages", "invalid_number"),
        ("ratio", "10.01", "ratio", "invalid_number"),
        ("washable", "x", "washable", "invalid_choice"),
        ("since-web", "2019-12-31", "since-web", "invalid_date"),
        ("title-en_US", "Hello!", "title-en_US", "too_long"),
        ("weight;weight-unit", "heavy;KG", "weight", "invalid_number"),
        ("weight;weight-unit", ";KG", "weight", "blank"),
        ("length;length-unit", "5;", "length", "blank"),
    ],
)
def test_a_value_that_its_attribute_refuses_is_a_warning(attributes, header, cells, column, code):
    loaded = load(PRODUCTS, f"sku;{header}\na;{cells}\n")
    assert loaded.counts == {"failed": 1}
    assert loaded.codes == [(1, column, code)]


@pytest.mark.parametrize(
    "header",
    [
        "colour",
        "color-en_US",
        "title",
        "about-en_US",
        "since",
        "price",
        "weight-kg;x",
        "length-unit",
    ],
)
def test_columns_that_no_attribute_has_end_the_job(attributes, header):
    assert load(PRODUCTS, f"sku;{header}\na;1;1\n").error


def test_links_are_kept_as_codes_and_not_checked(attributes):
    load(PRODUCTS, "sku;parent;groups;PACK-products;X_SELL-groups\na;Model-1;promo;b, c;g\n")
    assert Product.objects.get().links == {
        "parent": "Model-1",
        "groups": ["promo"],
        "PACK-products": ["b", "c"],
        "X_SELL-groups": ["g"],
    }


def test_attribute_types_are_read_in_akeneos_words_too():
    file = "code;type\na;pim_catalog_price_collection\nb;metric\nc;pim_reference_data\n"
    loaded = load("catalog.attribute.import", file)
    assert loaded.codes == [(3, "type", "invalid_choice")]
    assert dict(Attribute.objects.values_list("code", "type")) == {"a": "price", "b": "metric"}


def test_requirements_must_be_attributes(attributes):
    file = "code;attributes;requirements-web\nf;color,pages;COLOR\ng;color;nothing\n"
    loaded = load("catalog.family.import", file)
    assert loaded.codes == [(2, "requirements-web", "unknown_reference")]
    family = Family.objects.get()
    assert family.requirements == {"web": ["Color"]}
    assert family.attributes.count() == 2


def test_the_catalogues_profiles_name_jobs_that_exist():
    profiles = {code: values["job"] for code, values in DECLARED_PROFILES.items()}
    assert profiles["import_products"] == PRODUCTS
    assert profiles["export_products"] == "catalog.product.export"
    for code, job in profiles.items():
        if job.startswith("catalog."):
            assert find(job).Parameters.base_fields["delimiter"], code
    assert {f"catalog.{name}" for name in ORDER} <= set(RESOURCES)


def load_folder(folder) -> dict:
    return {
        name: load(f"catalog.{name}.import", (folder / FILES[name]).read_bytes(), size=500)
        for name in ORDER
    }


def test_the_sample_is_the_same_every_time(tmp_path):
    sample.generate(tmp_path / "one", products=300)
    sample.generate(tmp_path / "two", products=300)
    sample.generate(tmp_path / "other", products=300, seed=1)
    names = list(FILES.values())
    assert filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", names, shallow=False)[0] == names
    assert "products.csv" in filecmp.cmpfiles(tmp_path / "one", tmp_path / "other", names, False)[1]


def test_the_sample_imports_with_a_handful_of_warnings_and_comes_back(tmp_path):
    sample.generate(tmp_path, products=1200)
    loaded = load_folder(tmp_path)
    assert all(not each.error for each in loaded.values())
    assert [len(loaded[name].warnings) for name in ORDER] == [0, 0, 0, 0, 8]
    assert loaded["product"].counts == {"created": 1192, "failed": 8}
    text, result, _ = export("catalog.product.export")
    assert result == {"rows": 1192}
    assert load(PRODUCTS, text).counts == {"unchanged": 1192}


def test_the_real_catalogue_is_accounted_for_to_the_last_row(real_data):
    folder = real_data / "icecat"
    loaded = load_folder(folder)
    assert {name: each.error for name, each in loaded.items() if each.error} == {}
    assert [loaded[name].counters.processed for name in ORDER] == [168, 77, 121, 17, 1239]
    assert [each for name in ORDER for each in loaded[name].warnings] == []
    assert Category.objects.filter(parent=None).count() < 20
    assert Product.objects.filter(family=None).count() == 1
    assert Product.objects.filter(links__has_key="parent").count() == 240
    for name in ORDER:
        again = load(f"catalog.{name}.import", (folder / FILES[name]).read_bytes())
        assert again.counts == {"unchanged": loaded[name].counters.processed}
    for name in ORDER:
        text, result, _ = export(f"catalog.{name}.export")
        back = load(f"catalog.{name}.import", text)
        assert (back.counts, back.warnings) == ({"unchanged": result["rows"]}, [])
