"""The same import with django-import-export: as its documentation begins, and tuned."""

import json
import time
from pathlib import Path

import tablib
from import_export.fields import Field
from import_export.instance_loaders import CachedInstanceLoader
from import_export.resources import ModelResource
from import_export.widgets import CachedForeignKeyWidget, DateTimeWidget, ForeignKeyWidget

from benchmarks.launched import Failed
from benchmarks.product_files import COLUMNS, VALUES
from benchmarks.products.models import Brand, Category, Product


class PlainResource(ModelResource):
    """What somebody writes first; with the model's own checks left off, as they are by default."""

    category = Field("category", "category", ForeignKeyWidget(Category, "code"))
    brand = Field("brand", "brand", ForeignKeyWidget(Brand, "code"))
    changed_at = Field("changed_at", "changed_at", DateTimeWidget("%Y-%m-%dT%H:%M:%S%z"))

    class Meta:
        model = Product
        import_id_fields = ("sku",)
        fields = (*COLUMNS, "values")

    def before_import_row(self, row, **_):
        row["values"] = json.dumps({name: row[name] for name in VALUES})


class TunedResource(PlainResource):
    """All that the documentation offers for speed: bulk, no diffs, references and rows cached."""

    category = Field("category", "category", CachedForeignKeyWidget(Category, "code"))
    brand = Field("brand", "brand", CachedForeignKeyWidget(Brand, "code"))

    class Meta(PlainResource.Meta):
        use_bulk = True
        batch_size = 1000
        skip_diff = True
        instance_loader_class = CachedInstanceLoader
        force_init_instance = False


def load(resource: type[ModelResource], path: Path) -> None:
    """Import the file. Raises Failed if a row did not go in."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = tablib.Dataset().load(file, format="csv")
    result = resource().import_data(rows, dry_run=False)
    if result.has_errors() or result.has_validation_errors():
        said = [row.error for row in result.invalid_rows] + list(result.error_rows)
        raise Failed(f"django-import-export: {dict(result.totals)}: {said[:1]}")


class RelatedResource(PlainResource):
    """For exports: references come with their products, not one by one."""

    def get_queryset(self):
        return super().get_queryset().select_related("category", "brand")


def save(path: Path, rows: int) -> float:
    """Export the first products to a CSV file. Returns seconds."""
    began = time.monotonic()
    resource = RelatedResource()
    chosen = resource.get_queryset().order_by("pk")[:rows]
    path.write_text(resource.export(chosen).csv, encoding="utf-8")
    return time.monotonic() - began
