"""The import that is measured: all that a developer writes for it."""

from benchmarks.products.models import Product
from jobs import Resource, resource


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
