"""A selection in the query of an address: `?filter=price-EUR >= 10&search=boot&order=-name`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.http import QueryDict

from jobs.conditions import ALONE, Condition
from jobs.fields import OPERATORS
from jobs.resources import ResourceClass
from jobs.selection import Selection

LISTS = frozenset({"in", "not in", "between"})  # operators with several values
NAMES = ("filter", "search", "columns", "order")
WORDS = sorted({word for words in OPERATORS.values() for word in words}, key=len, reverse=True)
WRITTEN = re.compile(rf"(.+?) ({'|'.join(map(re.escape, WORDS))})(?: (.*))?", re.DOTALL)


def selection_from(resource: ResourceClass, query: QueryDict) -> Selection:
    """The selection that an address asks for; raises ValidationError by part."""
    try:
        filters = tuple(condition_from(text) for text in query.getlist("filter") if text)
    except ValidationError as error:
        raise ValidationError({"filters": error}) from None
    return Selection(
        resource=resource,
        filters=filters,
        search=query.get("search", "").strip(),
        columns=names(query.getlist("columns")),
        order=names(query.getlist("order")),
    )


def names(given: Iterable[str]) -> tuple[str, ...]:
    """Names of fields, repeated or with commas between them."""
    return tuple(name.strip() for text in given for name in text.split(",") if name.strip())


def query_of(selection: Selection) -> list[tuple[str, str]]:
    """The names and values from which `selection_from` reads the same selection."""
    pairs = [("filter", text_of(condition)) for condition in selection.filters]
    pairs += [("search", selection.search), ("columns", ",".join(selection.columns))]
    pairs += [("order", ",".join(selection.order))]
    return [(name, value) for name, value in pairs if value]


def condition_from(text: str) -> Condition:
    """`family in boots,hats`; a list whose values have commas is written as JSON."""
    found = WRITTEN.fullmatch(text)
    if not found:
        raise ValidationError(
            f"A filter is written as field, operator and value with spaces between them, such as "
            f"“enabled is true” or “price >= 10”; {text[:60]!r} is none.",
            "invalid_filter",
        )
    field, operator, value = found.groups()
    if operator in ALONE:
        return Condition(field, operator)
    return Condition(field, operator, _list(value or "") if operator in LISTS else value or "")


def text_of(condition: Condition) -> str:
    """The condition as `condition_from` reads it."""
    if condition.operator in ALONE:
        return f"{condition.field} {condition.operator}"
    return f"{condition.field} {condition.operator} {_text(condition.value)}"


def _list(text: str) -> list[Any]:
    if text.startswith("["):
        with suppress(ValueError):
            return list(json.loads(text))
    return [each.strip() for each in text.split(",")]


def _text(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return str(value)
    texts = [str(each) for each in value]
    plain = not any("," in text for text in texts) and not texts[0].startswith("[")
    return ",".join(texts) if plain else json.dumps(texts, ensure_ascii=False)
