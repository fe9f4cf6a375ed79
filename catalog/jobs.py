"""The catalogue's resources and jobs. It uses nothing of Millrace but what `jobs` offers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models.functions import Lower

from catalog.models import Attribute, AttributeOption, Category, Family, Product
from jobs import ChunkedJob, Column, Resource, by_pk, convert, job, profile, resource

LABELS = {"labels": "label-"}  # label-en_US, label-fr_FR, …


@resource("catalog.category")
class CategoryResource(Resource):
    """Category trees, matched by code. Parents may stand anywhere in the file."""

    model = Category
    key = "code"
    fields = ["code", "parent"]
    lookups = {"parent": "code"}
    extra = LABELS


def attribute_type(cell: str) -> str:
    """A type as we name it, or as the catalogues of Akeneo's PIM do."""
    return convert.choice(AKENEO_TYPES)(cell.removeprefix("pim_catalog_"))


AKENEO_TYPES = {value: value for value in Attribute.Type.values} | {"price_collection": "price"}


@resource("catalog.attribute")
class AttributeResource(Resource):
    """Attributes of products, matched by code."""

    model = Attribute
    key = "code"
    fields = [
        "code",
        "type",
        "group",
        "sort_order",
        "localizable",
        "scopable",
        "unique",
        "max_characters",
        "number_min",
        "number_max",
        "decimals_allowed",
        "negative_allowed",
        "date_min",
        "date_max",
        "metric_family",
        "default_metric_unit",
        "allowed_extensions",
    ]
    extra = LABELS
    converters = {"type": attribute_type}
    ignore = [
        "auto_option_sorting",
        "available_locales",
        "max_file_size",
        "minimum_input_length",
        "reference_data_name",
        "useable_as_grid_filter",
        "validation_regexp",
        "validation_rule",
        "wysiwyg_enabled",
    ]


@resource("catalog.attribute_option")
class AttributeOptionResource(Resource):
    """Options of simple and multiple selects, matched by attribute and code."""

    model = AttributeOption
    key = ("attribute", "code")
    fields = ["attribute", "code", "sort_order"]
    lookups = {"attribute": "code"}
    extra = LABELS


@resource("catalog.family")
class FamilyResource(Resource):
    """Families of products with their attributes, matched by code."""

    model = Family
    key = "code"
    fields = ["code", "attributes", "attribute_as_label", "attribute_as_image"]
    lookups = {
        "attributes": "code",
        "attribute_as_label": "code",
        "attribute_as_image": "code",
    }
    extra = {**LABELS, "requirements": "requirements-"}

    def extra_columns(self, names: list[str]) -> Iterator[Column]:
        """Labels as text; requirements as lists of attributes that exist."""
        known = by_code(Attribute.objects.values_list(Lower("code"), "code"))
        attributes = convert.choices(known, "unknown_reference")
        for column in super().extra_columns(names):
            if column.field == "requirements":
                yield replace(column, convert=attributes)
            else:
                yield column


@resource("catalog.product")
class ProductResource(Resource):
    """Products of the catalogue, matched by SKU; columns of known attributes are their values."""

    model = Product
    key = "sku"
    fields = ["sku", "name", "family", "categories", "enabled", "price_eur", "price_usd"]
    lookups = {"family": "code", "categories": "code"}
    aliases = {"price-EUR": "price_eur", "price-USD": "price_usd"}
    extra = {"values": "", "links": ""}

    def extra_columns(self, names: list[str]) -> Iterator[Column]:
        """Values of attributes (`color`, `erp_name-en_US`, `weight` and `weight-unit`), links."""
        seen = set()
        for name in names:
            column = link_column(name) or value_column(name, self._attributes, self._options)
            if column and column.names not in seen:
                seen.add(column.names)
                yield column

    def extra_names(self) -> list[str]:
        """The columns of attributes that have one alone, and of measures with their units."""
        found = Attribute.objects.filter(localizable=False, scopable=False).order_by("code")
        names = []
        for attribute in found.exclude(type=Attribute.Type.PRICE):
            names.append(attribute.code)
            if attribute.type == Attribute.Type.METRIC:
                names.append(f"{attribute.code}-unit")
        return names

    @cached_property
    def _attributes(self) -> dict[str, Attribute]:
        """The attributes by their folded codes."""
        found = Attribute.objects.annotate(folded=Lower("code"))
        return {attribute.folded: attribute for attribute in found}

    @cached_property
    def _options(self) -> dict[int, dict[str, str]]:
        """The codes of options by attribute: as spelled and folded, to their spelling."""
        options: dict[int, dict[str, str]] = {}
        rows = AttributeOption.objects.values_list("attribute_id", Lower("code"), "code")
        for attribute, folded, code in rows.iterator():
            options.setdefault(attribute, {}).update({folded: code, code: code})
        return options


def by_code(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Codes as spelled and folded, to their spelling."""
    return {form: code for folded, code in rows for form in (folded, code)}


def link_column(name: str) -> Column | None:
    """The column of codes of other things, which are kept and not checked."""
    if name == "parent":
        return Column(names=(name,), field="links", key=name)
    if name == "groups" or re.fullmatch(r"\w+-(products|groups)", name):
        return Column(names=(name,), field="links", key=name, convert=list_of_codes)
    return None


def list_of_codes(cell: str) -> list[str] | None:
    return convert.codes(cell) or None


def value_column(
    name: str, attributes: dict[str, Attribute], options: dict[int, dict[str, str]]
) -> Column | None:
    """The column of an attribute's value: `code[-locale][-channel]`, with a price's currency."""
    code, *parts = name.split("-")
    attribute = attributes.get(code.lower())
    if attribute is None:
        return None
    if attribute.type == Attribute.Type.METRIC and parts[-1:] == ["unit"]:
        return value_column(name.removesuffix("-unit"), attributes, options)
    needs_currency = attribute.type == Attribute.Type.PRICE
    if len(parts) != attribute.localizable + attribute.scopable + needs_currency:
        return None
    key = "-".join([attribute.code, *parts])
    if attribute.type == Attribute.Type.METRIC:
        return Column(
            names=(name, f"{name}-unit"),
            field="values",
            key=key,
            parts=("amount", "unit"),
            convert=metric(attribute),
        )
    return Column(
        names=(name,),
        field="values",
        key=key,
        convert=value_converter(attribute, options.get(attribute.pk, {})),
    )


def value_converter(attribute: Attribute, options: dict[str, str]) -> Callable[[str], Any]:
    """How the text of a cell becomes a value of the attribute."""
    match attribute.type:
        case Attribute.Type.NUMBER | Attribute.Type.PRICE:
            return number(attribute)
        case Attribute.Type.BOOLEAN:
            return convert.boolean()
        case Attribute.Type.DATE:
            return convert.date(attribute.date_min, attribute.date_max)
        case Attribute.Type.SIMPLESELECT:
            return convert.choice(options, "unknown_reference")
        case Attribute.Type.MULTISELECT:
            return convert.choices(options, "unknown_reference")
    return convert.text(attribute.max_characters)


def number(attribute: Attribute) -> Callable[[str], Any]:
    """A number within the attribute's limits; it may have decimals unless that is ruled out."""
    lowest = attribute.number_min
    if lowest is None and attribute.negative_allowed is False:
        lowest = Decimal(0)
    return convert.number(
        places=0 if attribute.decimals_allowed is False else None,
        lowest=lowest,
        highest=attribute.number_max,
    )


def metric(attribute: Attribute) -> Callable[[str, str], dict[str, str]]:
    """An amount with its unit, by default the attribute's; the amount stays as it is written."""
    amount_of = number(attribute)

    @convert.reads(convert.A_NUMBER, convert.A_TEXT)
    def convert_metric(amount: str, unit: str) -> dict[str, str]:
        unit = unit.strip() or attribute.default_metric_unit
        if not amount:
            raise ValidationError(f"There is a unit, {unit}, but no amount.", "blank")
        if not unit:
            raise ValidationError(f"The amount {amount} has no unit.", "blank")
        amount_of(amount)
        return {"amount": amount.strip(), "unit": unit}

    return convert_metric


@job("catalog.tidy_names")
class TidyNames(ChunkedJob):
    """Strip stray spaces from the names of products."""

    type = "mass_edit"
    permissions = ("catalog.change_product",)

    def read(self, cursor: int | None) -> Iterator[tuple[int, Product]]:
        return by_pk(Product.objects.only("name"), after=cursor)

    def process(self, product: Product) -> Product | None:
        tidy = " ".join(product.name.split())
        if tidy == product.name:
            return None
        product.name = tidy
        return product

    def write(self, products: list[Product]) -> None:
        Product.objects.bulk_update(products, ["name"])


@job("catalog.count_by_family", permissions=("catalog.view_product",))
def count_by_family(context: Any) -> dict[str, int]:
    """Count the enabled products of every family."""
    counts: dict[str, int] = context.cursor or {}  # what earlier attempts have counted
    for family in Family.objects.exclude(code__in=counts).order_by("code"):
        counts[family.code] = family.products.filter(enabled=True).count()
        context.checkpoint(counts, processed=1)
    return counts


for code, label, name in (
    ("import_categories", "Import categories", "catalog.category.import"),
    ("import_attributes", "Import attributes", "catalog.attribute.import"),
    ("import_attribute_options", "Import attribute options", "catalog.attribute_option.import"),
    ("import_families", "Import families", "catalog.family.import"),
    ("import_products", "Import products", "catalog.product.import"),
):
    profile(code, label=label, job=name)
profile(
    "export_products",
    label="Export products",
    job="catalog.product.export",
    parameters={"delimiter": ";"},
)
