"""Editors for parameters that are lists or objects: rows of inputs, which work without scripts.

The browser sends the inputs of all rows under one name a part; empty rows are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

Choices = Sequence[tuple[str, str]]
EMPTY_ROWS = 2
MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """One input of every row: a select where there are choices, otherwise a line of text."""

    name: str
    label: str
    choices: Choices = ()


class RowsEditor(forms.Widget):
    """Rows of parts for a JSONField. Subclasses say how JSON becomes rows, and rows JSON."""

    template_name = "tracker/editor.html"
    use_fieldset = True
    noun = "row"

    def __init__(self, *parts: Part):
        super().__init__()
        self.parts = parts

    def rows(self, value: Any) -> Iterable[Sequence[str]]:
        """The texts of each row, one for each part."""
        raise NotImplementedError

    def value(self, rows: list[list[str]]) -> Any:
        """The parameter's value; rows that are all empty are not among them."""
        raise NotImplementedError

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        given = [*self.rows(_decoded(value)), *([[""] * len(self.parts)] * EMPTY_ROWS)]
        disabled = bool(context["widget"]["attrs"].get("disabled"))
        context["editor"] = {
            "noun": self.noun,
            "disabled": disabled,
            "rows": [self._inputs(name, texts, place) for place, texts in enumerate(given, 1)],
        }
        return context

    def _render(self, template_name: str, context: Any, renderer: Any = None) -> SafeString:  # noqa: ARG002
        """By the site's templates: those of forms know nothing of its icons."""
        return render_to_string(template_name, context)

    def _inputs(self, name: str, texts: Sequence[str], place: int) -> list[dict[str, Any]]:
        return [
            {
                "name": f"{name}-{part.name}",
                "label": f"{part.label}, {self.noun} {place}",
                "hint": part.label,
                "value": text,
                "choices": _with(part.choices, text),
            }
            for part, text in zip(self.parts, texts, strict=True)
        ]

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:  # noqa: ARG002
        """The value as JSON text, which is what a JSONField reads."""
        if name in data:  # not from the page, but from a link to it
            return str(data[name])
        columns = [data.getlist(f"{name}-{part.name}")[:MOST_ROWS] for part in self.parts]
        rows = [[text.strip() for text in row] for row in zip(*columns, strict=False)]
        value = self.value([row for row in rows if any(row)])
        return json.dumps(value) if value else ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:  # noqa: ARG002
        return name not in data and f"{name}-{self.parts[0].name}" not in data


def _decoded(value: Any) -> Any:
    """What was saved or sent: JSON, or names with commas between them."""
    try:
        return json.loads(value) if isinstance(value, str) and value else value
    except ValueError:
        return value


def _with(choices: Choices, text: str) -> Choices:
    """The choices, and what is chosen though it is not among them: it must not get lost."""
    if choices and text and text not in dict(choices):
        return [*choices, (text, text)]
    return choices


class PairsEditor(RowsEditor):
    """An object of texts: {name: text}."""

    noun = "column"

    def rows(self, value: Any) -> Iterable[Sequence[str]]:
        return [[name, str(text)] for name, text in _items(value)]

    def value(self, rows: list[list[str]]) -> dict[str, str]:
        return {name: text for name, text in rows if name}


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()


def _names(value: Any) -> list[str]:
    """A list of names, or names with commas between them."""
    names = value.split(",") if isinstance(value, str) else value or []
    return [str(name).strip() for name in names if str(name).strip()]


class NamesEditor(RowsEditor):
    """A list of names: [name, …]."""

    noun = "column"

    def rows(self, value: Any) -> Iterable[Sequence[str]]:
        return [[name] for name in _names(value)]

    def value(self, rows: list[list[str]]) -> list[str]:
        return [name for (name,) in rows]


class OrderEditor(RowsEditor):
    """A list of names, with `-` before those that descend."""

    noun = "order"

    def rows(self, value: Any) -> Iterable[Sequence[str]]:
        return [
            [name.removeprefix("-"), "-" if name.startswith("-") else ""] for name in _names(value)
        ]

    def value(self, rows: list[list[str]]) -> list[str]:
        return [f"{sign}{name}" for name, sign in rows if name]


class FiltersEditor(RowsEditor):
    """A list of conditions: [{field, operator, value}, …]."""

    noun = "filter"

    def rows(self, value: Any) -> Iterable[Sequence[str]]:
        return [
            [str(one.get("field", "")), str(one.get("operator", "")), _listed(one.get("value"))]
            for one in (value if isinstance(value, list) else [])
            if isinstance(one, dict)
        ]

    def value(self, rows: list[list[str]]) -> list[dict[str, Any]]:
        return [
            {"field": field, "operator": operator, "value": value or None}
            for field, operator, value in rows
            if field
        ]


def _listed(value: Any) -> str:
    """A value on one line; several with commas."""
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return "" if value is None else str(value)
