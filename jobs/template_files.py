"""Template files: the columns that an import of a resource takes, to be filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from jobs.fields import Field, Kind, import_fields
from jobs.formats.writing import Passing, open_writer
from jobs.formats.written import TEXT, WriteOptions, WrittenColumn
from jobs.formats.xlsx_writer import XlsxWriter
from jobs.resources import ResourceClass

HELP = ("Column", "Meaning", "Type", "Required", "Choices")
TYPES = {
    Kind.TEXT: "text",
    Kind.NUMBER: "number, with a point",
    Kind.BOOLEAN: "1 or 0",
    Kind.DATE: "date, like 2026-03-31",
    Kind.MOMENT: "time, like 2026-03-31T12:30:00+02:00",
    Kind.CHOICE: "one of the choices",
    Kind.CODES: "codes with commas between them",
    Kind.VALUE: "text, number, or codes with commas between them",
    Kind.JSON: "JSON",
}
MOST_CHOICES = 50


def template_file(resource: ResourceClass, kind: str) -> bytes:
    """A file with the columns and no rows; a workbook has a second sheet that explains them.

    A JSON file shows its columns as one object of empty texts. Of JSON fields it has the keys that
    the last rows have.
    """
    fields = import_fields(resource)
    target, options = Passing(), WriteOptions(delimiter=";", encoding="utf-8-sig")
    columns = [WrittenColumn(field.name, TEXT) for field in fields]
    with open_writer(kind, target, columns, options) as writer:
        if kind in {"json", "jsonl"}:
            writer.write([[""] * len(fields)])
        if kind == "xlsx":
            cast("XlsxWriter", writer).add_sheet("Help", HELP, _help(resource, fields))
    return target.take()


def _help(resource: ResourceClass, fields: list[Field]) -> Iterator[list[str]]:
    for field in fields:
        values = [value for value, _ in field.choices[:MOST_CHOICES]]
        more = "" if len(field.choices) <= MOST_CHOICES else " …"
        yield [
            field.name,
            field.label,
            TYPES[field.kind],
            "yes" if _is_required(resource, field) else "",
            ", ".join(values) + more,
        ]


def _is_required(resource: ResourceClass, field: Field) -> bool:
    """Whether a new row needs a value: it is the key, or nothing stands for an absent one."""
    if field.keys:
        return False
    of: Any = resource.model._meta.get_field(field.path.split("__")[0])
    optional = of.null or of.blank or of.has_default() or of.many_to_many
    return of.name in resource.key_fields() or not optional
