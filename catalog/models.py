"""A product catalogue: the domain that the sample jobs work on.

Codes and SKUs are unique without regard to case: `Shoes` and `shoes` are one category. Their first
spelling is kept. Labels are JSON objects by locale: `{"en_US": "Shoes", "fr_FR": "Chaussures"}`.
"""

from django.db import models
from django.db.models.functions import Lower


class Category(models.Model):
    """A node of a category tree; one without a parent is the root of a tree."""

    code = models.CharField(max_length=100)
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children"
    )
    labels = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "categories"
        constraints = [models.UniqueConstraint(Lower("code"), name="catalog_category_code")]

    def __str__(self) -> str:
        return self.labels.get("en_US") or self.code


class Attribute(models.Model):
    """A property that products may have, and what its values must look like.

    A localizable attribute has one value for each locale, a scopable one for each channel; its
    columns are named `description-en_US-ecommerce`. `unique` is kept for other systems and not
    enforced here.
    """

    class Type(models.TextChoices):
        IDENTIFIER = "identifier"
        TEXT = "text"
        TEXTAREA = "textarea"
        NUMBER = "number"
        BOOLEAN = "boolean"
        DATE = "date"
        SIMPLESELECT = "simpleselect", "Simple select"
        MULTISELECT = "multiselect", "Multiple select"
        METRIC = "metric"
        PRICE = "price"
        IMAGE = "image"
        FILE = "file"

    code = models.CharField(max_length=100)
    type = models.CharField(max_length=20, choices=Type)
    labels = models.JSONField(default=dict, blank=True)
    group = models.CharField(max_length=100, default="", blank=True)
    sort_order = models.IntegerField(default=0)
    localizable = models.BooleanField(default=False)
    scopable = models.BooleanField(default=False)
    unique = models.BooleanField(default=False)
    max_characters = models.PositiveIntegerField(null=True, blank=True)
    number_min = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    number_max = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    decimals_allowed = models.BooleanField(null=True, blank=True)
    negative_allowed = models.BooleanField(null=True, blank=True)
    date_min = models.DateField(null=True, blank=True)
    date_max = models.DateField(null=True, blank=True)
    metric_family = models.CharField(max_length=100, default="", blank=True)
    default_metric_unit = models.CharField(max_length=100, default="", blank=True)
    allowed_extensions = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("code"), name="catalog_attribute_code")]

    def __str__(self) -> str:
        return self.labels.get("en_US") or self.code


class AttributeOption(models.Model):
    """One of the values that a simple or multiple select offers."""

    attribute = models.ForeignKey(Attribute, models.CASCADE, related_name="options")
    code = models.CharField(max_length=100)
    labels = models.JSONField(default=dict, blank=True)
    sort_order = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("attribute", Lower("code"), name="catalog_attributeoption_code")
        ]

    def __str__(self) -> str:
        return self.labels.get("en_US") or self.code


class Family(models.Model):
    """A kind of product: the attributes it has, and those a channel requires.

    `requirements` are codes of attributes by channel: `{"ecommerce": ["name", "price"]}`.
    """

    code = models.CharField(max_length=100)
    labels = models.JSONField(default=dict, blank=True)
    attributes = models.ManyToManyField(Attribute, related_name="families", blank=True)
    attribute_as_label = models.ForeignKey(
        Attribute, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    attribute_as_image = models.ForeignKey(
        Attribute, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    requirements = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "families"
        constraints = [models.UniqueConstraint(Lower("code"), name="catalog_family_code")]

    def __str__(self) -> str:
        return self.labels.get("en_US") or self.code


class Product(models.Model):
    """Something that is sold.

    `values` are the values of its attributes, by the name of their column:
    `{"color": "blue", "erp_name-en_US": "Amor", "weight": {"amount": "2.5", "unit": "KILOGRAM"}}`.
    `links` are the codes of other things, which are not checked: its product model (`parent`), its
    `groups`, and associations such as `PACK-products`.
    """

    sku = models.CharField("SKU", max_length=100)
    name = models.CharField(max_length=255, default="", blank=True)
    family = models.ForeignKey(
        Family, models.PROTECT, null=True, blank=True, related_name="products"
    )
    categories = models.ManyToManyField(Category, related_name="products", blank=True)
    enabled = models.BooleanField(default=True)
    price_eur = models.DecimalField(
        "price in euros", max_digits=12, decimal_places=2, null=True, blank=True
    )
    price_usd = models.DecimalField(
        "price in dollars", max_digits=12, decimal_places=2, null=True, blank=True
    )
    values = models.JSONField(default=dict, blank=True)
    links = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("sku"), name="catalog_product_sku"),
            models.CheckConstraint(
                name="catalog_product_price_eur",
                condition=models.Q(price_eur__gte=0),
                violation_error_message="A price must not be negative.",
            ),
            models.CheckConstraint(
                name="catalog_product_price_usd",
                condition=models.Q(price_usd__gte=0),
                violation_error_message="A price must not be negative.",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.sku
