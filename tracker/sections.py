"""The parameters of a job in groups that people recognise, with an editor where one is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.forms import BoundField

from jobs.conditions import WORDS
from jobs.fields import OPERATORS, fields_of
from tracker.editors import (
    Choices,
    FiltersEditor,
    NamesEditor,
    OrderEditor,
    PairsEditor,
    Part,
)


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that belong together; those in `rare` are folded away.

    What they are folded under is `fold`, or their names.
    """

    title: str
    fields: tuple[str, ...]
    rare: tuple[str, ...] = ()
    fold: str = ""


IMPORT = (
    Group("Which file", ("file", "place", "path")),
    Group(
        "How it is read",
        ("format",),
        ("delimiter", "quote", "encoding", "header", "sheet", "decimal", "date_format"),
    ),
    Group(
        "What happens to rows",
        ("mode",),
        ("mapping", "defaults", "create_missing", "validation"),
    ),
    Group("Safety", ("ledger",), ("max_failed", "max_failed_percent"), "How many rows may fail"),
)
EXPORT = (
    Group("Which rows", ("filters", "search"), ("order",)),
    Group("Which columns", ("columns", "header")),
    Group(
        "Which file",
        ("format",),
        ("delimiter", "encoding", "pack", "rows_per_file", "file_name", "raw"),
    ),
    Group("Where to", ("place", "path")),
)
GROUPS = {"import": IMPORT, "export": EXPORT}
COMPARISONS = dict.fromkeys(sign for signs in OPERATORS.values() for sign in signs)
HELP = {
    "mapping": "Columns of the file that have other names here, or are left out.",
    "defaults": "What new rows get in columns that the file does not have.",
    "filters": "Rows that meet all of these. Write several values with commas between them.",
    "columns": "These columns, in this order. None: all of them.",
    "order": "By these columns, the first one first. None: as they are kept.",
}
BUTTONS = {"dry_run"}  # asked by a button of its own


@dataclass(frozen=True, slots=True)
class Section:
    """A group as it stands in a form; it is open where something in its folded part is set."""

    title: str
    fields: list[BoundField]
    rare: list[BoundField]
    is_open: bool
    fold: str = ""

    def without(self, name: str) -> Section:
        """The same without a parameter that stands elsewhere on the page."""
        return replace(
            self,
            fields=[field for field in self.fields if field.name != name],
            rare=[field for field in self.rare if field.name != name],
        )

    @property
    def rare_labels(self) -> str:
        """What is folded away: `Delimiter, encoding, decimal separator`."""
        if self.fold:
            return self.fold
        names = [str(field.label) for field in self.rare]
        return ", ".join([names[0], *(name[:1].lower() + name[1:] for name in names[1:])])


def sections(form: forms.Form, kind: str) -> list[Section]:
    """The visible fields of the form; those of no group stand in the first, without a title."""
    fields = {field.name: field for field in form.visible_fields() if field.name not in BUTTONS}
    groups = GROUPS.get(kind, ())
    known = {name for group in groups for name in (*group.fields, *group.rare)}
    other = [field for name, field in fields.items() if name not in known]
    found = [
        _section(
            group.title,
            _present(fields, group.fields),
            _present(fields, group.rare),
            group.fold,
        )
        for group in groups
    ]
    if other:
        found.append(_section("Further" if any(map(_has_fields, found)) else "", other, []))
    return [section for section in found if _has_fields(section)]


def _present(fields: dict[str, BoundField], names: Iterable[str]) -> list[BoundField]:
    return [fields[name] for name in names if name in fields]


def _section(
    title: str, fields: list[BoundField], rare: list[BoundField], fold: str = ""
) -> Section:
    is_open = any(field.errors or _is_set(field) for field in rare)
    return Section(title, fields, rare, is_open, fold)


def _has_fields(section: Section) -> bool:
    return bool(section.fields or section.rare)


def _is_set(field: BoundField) -> bool:
    """Whether it differs from what the job itself would take."""
    usual = field.field.initial
    value = field.initial if not field.form.is_bound else field.data
    return str(value or "") not in {"", str(usual or ""), "False", "None", "{}", "[]"}


def give_editors(form: forms.Form, resource: Any) -> None:
    """Put an editor before each parameter that is a list or an object of a resource's columns."""
    wanted = {"mapping", "defaults", "filters", "columns", "order"} & set(form.fields)
    wanted = {name for name in wanted if isinstance(form.fields[name], forms.JSONField)}
    if not wanted or resource is None:
        return
    files: Choices = [("", "—"), *((name, name) for name in resource().names())]
    known = {"mapping", "defaults"}
    rows: Choices = (
        [("", "—"), *((field.name, field.name) for field in fields_of(resource))]
        if (wanted - known)
        else []
    )
    for name in wanted:
        field = form.fields[name]
        field.help_text = HELP[name]
        field.widget = _editor(name, files if name in known else rows)
        field.widget.is_required = field.required


def _editor(name: str, names: Choices) -> forms.Widget:
    match name:
        case "mapping":
            here = [("", "Leave out"), *names[1:]]
            return PairsEditor(Part("from", "In the file"), Part("to", "Here", here))
        case "defaults":
            return PairsEditor(Part("of", "Column", names), Part("text", "Value"))
        case "filters":
            operators = [
                ("=", "is"),
                *((sign, word) for sign, word in WORDS.items() if sign != "="),
            ]
            return FiltersEditor(
                Part("field", "Field", names),
                Part("operator", "Comparison", operators),
                Part("value", "Value"),
            )
        case "order":
            ways = [("", "ascending"), ("-", "descending")]
            return OrderEditor(Part("by", "Field", names), Part("way", "Direction", ways))
    return NamesEditor(Part("name", "Column", names))
