"""What is measured: an import, all that a developer writes for it, and jobs that do nothing."""

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from django import forms
from django.db import connection

from benchmarks.products.models import Product
from jobs import ChunkedJob, Resource, job, resource


@resource("products.product")
class ProductResource(Resource):
    """Products, matched by SKU; columns that are no fields go into `values`."""

    model = Product
    key = "sku"
    fields = [
        "sku", "name", "category", "brand", "description",
        "price", "stock", "enabled", "released_on", "changed_at",
    ]  # fmt: skip
    lookups = {"category": "code", "brand": "code"}
    extra = "values"


@resource("products.divided")
class DividedResource(ProductResource):
    """The same, imported by two executions that divide the rows between them."""

    partitions = 2


@resource("products.cleaned")
class CleanedResource(ProductResource):
    """The same, each of its cells checked by Django's `field.clean()`."""

    converters = {
        field.name: partial(field.clean, model_instance=None)
        for field in Product._meta.concrete_fields
        if field.name in ProductResource.fields and not field.is_relation
    }


class Items(forms.Form):
    items = forms.IntegerField()
    pause = forms.FloatField(initial=0.0)


@job("products.chunks")
class Chunks(ChunkedJob):
    """Chunks of one item that do nothing: what is left is the engine's own work."""

    Parameters = Items
    chunk_size = 1

    def read(self, cursor: int | None) -> Iterator[tuple[int, int]]:
        first = 0 if cursor is None else cursor + 1
        return ((item, item) for item in range(first, self.parameters["items"]))

    def write(self, items: list[int]) -> None:  # noqa: ARG002 - nothing is written
        if self.parameters["pause"]:
            time.sleep(self.parameters["pause"])


@job("products.nothing")
def nothing(context: Any) -> None:
    """Begin and end."""


@job("products.stuck")
def stuck(context: Any) -> None:
    """Be in a call of C that answers to no signal handler of Python, for hours."""
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)


@job("products.statement")
def statement(context: Any) -> None:
    """Wait for one statement of SQL, for an hour."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(3600)")
