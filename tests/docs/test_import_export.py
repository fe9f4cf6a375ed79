"""docs/howto-django-import-export.md: one model in both libraries, one file through both."""

import pytest
import tablib
from django.contrib import admin
from django.core.exceptions import ValidationError
from import_export.admin import ImportExportModelAdmin
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.widgets import ForeignKeyWidget, ManyToManyWidget

from catalog.models import Category, Family, Product
from jobs import Resource, Skip, resource
from jobs.definition import REGISTRY
from jobs.resource_admin import ResourceAdmin
from jobs.resources import RESOURCES
from jobs.testing import run_now

pytestmark = pytest.mark.django_db

FILE = """\
sku,name,family,categories,enabled,price_eur
a-1,  Boot ,boots,"sale,spring",1,12.50
a-2,Hat,,,0,
a-3,Draft,boots,,1,3.00
"""


class TheirProducts(ModelResource):
    family = Field("family", "family", widget=ForeignKeyWidget(Family, "code"))
    categories = Field("categories", "categories", widget=ManyToManyWidget(Category, field="code"))

    class Meta:
        model = Product
        import_id_fields = ["sku"]
        fields = ("sku", "name", "family", "categories", "enabled", "price_eur")
        skip_unchanged = True

    def before_import_row(self, row, **_):
        row["name"] = row["name"].strip()
        if row["price_eur"] == "-1":
            raise ValidationError("A price is needed.")

    def skip_row(self, instance, original, row, import_validation_errors=None):
        return row["name"] == "Draft" or super().skip_row(
            instance, original, row, import_validation_errors
        )


class OurProducts(Resource):
    """Products, as TheirProducts has them."""

    model = Product
    key = "sku"
    fields = ["sku", "name", "family", "categories", "enabled", "price_eur"]
    lookups = {"family": "code", "categories": "code"}

    def clean(self, row):
        row["name"] = row["name"].strip()
        if row["name"] == "Draft":
            raise Skip("A draft is left out.")
        return row


@pytest.fixture(autouse=True)
def _ours(monkeypatch):
    monkeypatch.setattr("jobs.recipes.resources.RESOURCES", dict(RESOURCES))
    before = dict(REGISTRY)
    resource("moved.product")(OurProducts)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture(autouse=True)
def _related() -> None:
    Family.objects.create(code="boots")
    Category.objects.bulk_create(Category(code=code) for code in ("sale", "spring"))


def theirs(text: str = FILE):
    return TheirProducts().import_data(tablib.Dataset().load(text, format="csv"))


def ours(text: str = FILE):
    parameters = {"delimiter": ","}
    done = run_now("moved.product.import", parameters, {"file": ("p.csv", text.encode())})
    assert done.status == "completed", done.error
    return done.steps.get()


def rows() -> list[tuple]:
    found = Product.objects.order_by("sku").prefetch_related("categories")
    return [
        (
            one.sku,
            one.name,
            one.family and one.family.code,
            sorted(each.code for each in one.categories.all()),
            one.enabled,
            one.price_eur,
        )
        for one in found
    ]


def test_both_make_the_same_rows_of_one_file():
    step = ours()
    assert (step.created, step.skipped) == (2, 1)
    made = rows()
    Product.objects.all().delete()
    totals = theirs().totals
    assert (totals["new"], totals["skip"]) == (2, 1)
    assert rows() == made


def test_what_one_has_imported_the_other_finds_unchanged():
    theirs()
    step = ours()
    assert (step.unchanged, step.created, step.updated) == (2, 0, 0)
    totals = theirs().totals
    assert (totals["new"], totals["update"], totals["skip"]) == (0, 0, 3)


def test_their_export_is_read_by_our_import():
    ours()
    exported = TheirProducts().export(Product.objects.order_by("sku")).csv
    step = ours(exported)
    assert (step.unchanged, step.created, step.updated) == (2, 0, 0)


def test_a_bad_row_ends_their_import_and_costs_ours_one_row():
    bad = FILE + "a-4,Scarf,gloves,,1,5.00\na-5,Belt,boots,,1,6.00\n"
    assert theirs(bad).has_errors()
    step = ours(bad)
    assert (step.created, step.failed) == (3, 1)
    assert "gloves" in step.execution.warnings.get(outcome="failed").message


def test_both_admins_stand_beside_each_other():
    class Both(ImportExportModelAdmin, ResourceAdmin):
        resource_classes = [TheirProducts]

    both = Both(Product, admin.AdminSite())
    names = [url.name for url in both.get_urls()]
    assert len(names) == len(set(names))
    assert {"catalog_product_export", "catalog_product_export_rows"} <= set(names)
    assert both.ie_base_change_list_template == "admin/jobs/resource_change_list.html"
