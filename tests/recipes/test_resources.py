"""What @resource checks and what it registers."""

import pytest
from django.db import models

from catalog.jobs import CategoryResource, ProductResource
from catalog.models import Attribute, Category, Product
from jobs import Resource, convert, resource
from jobs.definition import REGISTRY, find
from jobs.recipes.resources import check


def test_a_resource_brings_its_import_and_its_export():
    importing, exporting = find("catalog.product.import"), find("catalog.product.export")
    assert (importing.label, importing.type) == ("Import products", "import")
    assert importing.permissions == ("catalog.add_product", "catalog.change_product")
    assert (exporting.label, exporting.type) == ("Export products", "export")
    assert exporting.permissions == ("catalog.view_product",)
    assert importing.describe().startswith("Import products. Products of the catalogue, matched")
    assert "class ProductResource" in importing.source()


def test_the_version_follows_the_source_of_the_resource():
    versions = {find(name).version() for name in REGISTRY if name.startswith("catalog.")}
    assert len(versions) == len([name for name in REGISTRY if name.startswith("catalog.")])
    assert all(len(version) == 12 for version in versions)

    class Derived(ProductResource):
        pass

    assert "class ProductResource" in "".join(Derived.sources())


def test_two_resources_cannot_have_one_name():
    with pytest.raises(ValueError, match=r"Two resources are named 'catalog\.category'"):
        resource("catalog.category")(ProductResource)
    assert CategoryResource.name == "catalog.category"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"fields": ["sku", "colour"]}, "Product has no field colour"),
        ({"fields": ["name"]}, "the key sku is not among its fields"),
        ({"key": "name"}, "no unique constraint covers its key name"),
        ({"key": ("sku", "name")}, "no unique constraint covers its key sku, name"),
        ({"extra": "name"}, "name, which takes further columns, is no JSONField"),
        ({"lookups": {}}, "lookups must say by which field of Family files name the family"),
        ({"lookups": {"family": "labels"}}, "Family.labels is not unique"),
    ],
)
def test_a_declaration_that_contradicts_the_model_is_refused(declared, said):
    body = {
        "model": Product,
        "key": "sku",
        "fields": ["sku", "name", "family"],
        "lookups": {"family": "code"},
    }
    with pytest.raises(ValueError, match=said):
        check(type("Wrong", (Resource,), body | declared))


def test_a_parent_is_looked_up_by_the_key():
    class Wrong(Resource):
        model = Category
        key = "id"
        fields = ["id", "parent"]
        lookups = {"parent": "code"}

    with pytest.raises(ValueError, match="looked up by the resource's key"):
        check(Wrong)


def test_plain_unique_fields_are_keys_too():
    class Plain(models.Model):
        code = models.CharField(max_length=5, unique=True)
        left = models.IntegerField()
        right = models.IntegerField()

        class Meta:
            app_label = "samples"
            constraints = [models.UniqueConstraint(fields=["left", "right"], name="sides")]

    for key in ("code", ("left", "right")):
        body = {"model": Plain, "key": key, "fields": ["code", "left", "right"]}
        check(type("Right", (Resource,), body))


def test_columns_of_json_fields_go_by_prefix_and_the_longest_wins():
    class Labelled(Resource):
        model = Attribute
        key = "code"
        fields = ["code"]
        extra = {"labels": "label-"}
        ignore = ["junk"]

    columns = Labelled().columns(["code", "label-en_US", "junk"])
    assert [(column.field, column.key) for column in columns] == [
        ("code", None),
        ("labels", "en_US"),
    ]


def test_converters_are_offered_to_developers():
    assert convert.choice(["a"])("a") == "a"
