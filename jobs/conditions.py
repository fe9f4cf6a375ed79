"""Conditions of people on the rows of a resource, compiled to the ORM and never to SQL text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import (
    AutoField,
    Case,
    DecimalField,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    Value,
    When,
)
from django.db.models.functions import Cast, Lower
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    IContains,
    In,
    IsNull,
    IStartsWith,
    LessThan,
    LessThanOrEqual,
    Regex,
)
from django.utils import timezone

from jobs.fields import Field, Kind, field_named
from jobs.resources import Resource, ResourceClass

COMPARISONS = frozenset({"<", "<=", ">", ">=", "between"})
LOOKUPS: dict[str, Any] = {
    "<": LessThan,
    "<=": LessThanOrEqual,
    ">": GreaterThan,
    ">=": GreaterThanOrEqual,
    "contains": IContains,
    "starts with": IStartsWith,
}
WORDS = {
    "=": "is",
    "!=": "is not",
    "<": "<",
    "<=": "≤",
    ">": ">",
    ">=": "≥",
    "in": "is one of",
    "not in": "is none of",
    "between": "is between",
    "empty": "is empty",
    "not empty": "is not empty",
    "is true": "is true",
    "is false": "is false",
}
ALONE = frozenset({"empty", "not empty", "is true", "is false"})  # operators without a value
BIGGEST = 1 << 63
MOST = 10_000  # values in one list
IN_NUMBERS = (
    r"^-?[0-9]{1,255}(\.[0-9]{1,255})?$"  # texts under JSON keys that are compared as numbers
)


class Numeric(DecimalField):
    """Numbers of any size, exactly."""

    def cast_db_type(self, connection: Any) -> str:  # noqa: ARG002 (as Django calls it)
        return "numeric"

    def get_db_prep_value(self, value: Any, *_: Any, **__: Any) -> Any:
        return value


@dataclass(frozen=True)
class Condition:
    """What a field must be. `value` is a list for `in`, `not in` and `between`.

    Texts are compared without regard to case; `!=` and `not in` also find empty values.
    """

    field: str
    operator: str
    value: Any = None

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "operator": self.operator, "value": self.value}


def condition_from(given: Any) -> Condition:
    """The condition of a JSON object; raises ValidationError where it is none."""
    if not isinstance(given, dict) or not {"field", "operator"} <= set(given):
        raise ValidationError(
            'A filter is written {"field": …, "operator": …, "value": …}; this is none: '
            f"{str(given)[:60]}.",
            "invalid_filter",
        )
    if unknown := sorted(set(given) - {"field", "operator", "value"}):
        raise ValidationError(f"A filter has no {unknown[0]!r}.", "invalid_filter")
    return Condition(str(given["field"]), str(given["operator"]), given.get("value"))


def compile_condition(
    resource: ResourceClass, condition: Condition, one: Resource | None = None
) -> Any:
    """The condition for `filter()`; raises ValidationError naming field, operator and value."""
    field = field_named(resource, condition.field, one)
    if condition.operator not in field.operators:
        raise ValidationError(
            f"{field.label} cannot be compared by {condition.operator!r}; "
            f"it can by {', '.join(field.operators)}.",
            "unknown_operator",
        )
    value = _value(field, condition)
    if field.kind is Kind.CODES:
        return _any_code(resource, field, condition.operator, value)
    return _compare(field, condition.operator, value)


def in_words(resource: ResourceClass, condition: Condition, one: Resource | None = None) -> str:
    """The condition as people say it: `Family is one of shoes, hats`."""
    label = field_named(resource, condition.field, one).label
    said = f"{label} {WORDS.get(condition.operator, condition.operator)}"
    if condition.operator in ALONE:
        return said
    if condition.operator == "between" and isinstance(condition.value, list | tuple):
        return f"{said} {' and '.join(str(each) for each in condition.value)}"
    if not isinstance(condition.value, list | tuple):
        return f"{said} {condition.value}"
    shown = ", ".join(str(each) for each in condition.value[:5])
    more = len(condition.value) - 5
    return f"{said} {shown}{f' and {more:,} more' if more > 0 else ''}"


def _compare(field: Field, operator: str, value: Any) -> Q:
    at = field.expression
    match operator:
        case "empty":
            return _empty(field)
        case "not empty":
            return ~_empty(field)
        case "is true" | "is false":
            return Q(Exact(at, operator == "is true"))
        case "between":
            return _compare(field, ">=", value[0]) & _compare(field, "<=", value[1])
        case "=" | "in":
            return _equals(field, value if operator == "in" else [value])
        case "!=" | "not in":
            same = _equals(field, value if operator == "not in" else [value])
            return Q(IsNull(at, True)) | ~same
    if isinstance(value, Decimal) and field.kind is Kind.VALUE:
        at = Case(When(Regex(at, IN_NUMBERS), then=Cast(at, Numeric())))
    return Q(LOOKUPS[operator](at, value))


def _equals(field: Field, wanted: list[Any]) -> Q:
    if field.kind in {Kind.TEXT, Kind.VALUE}:
        return Q(In(Lower(field.expression), [Lower(Value(each)) for each in wanted]))
    return Q(In(field.expression, wanted))


def _empty(field: Field) -> Q:
    absent = Q(IsNull(field.expression, True))
    if field.kind in {Kind.TEXT, Kind.VALUE, Kind.CHOICE} and _keeps_text(field):
        return absent | Q(Exact(field.expression, Value("")))
    return absent


def _keeps_text(field: Field) -> bool:
    internal = field.model_field.get_internal_type()
    return bool(field.keys) or internal in {"CharField", "TextField", "SlugField", "FileField"}


def _any_code(resource: ResourceClass, field: Field, operator: str, codes: Any) -> Any:
    """A subquery instead of a join, which would find a row once for each of its codes."""
    of = field.model_field
    own, other = of.m2m_field_name(), of.m2m_reverse_field_name()
    links = of.remote_field.through._default_manager.filter(**{own: OuterRef("pk")})
    if codes is not None:
        code = f"{other}__{resource.lookups[of.name]}"
        folded = [Lower(Value(each)) for each in codes]
        links = links.alias(_code=Lower(code)).filter(_code__in=folded)
    return ~Exists(links) if operator in {"not in", "empty"} else Exists(links)


def _value(field: Field, condition: Condition) -> Any:
    """The value, or the values, as the field compares them."""
    operator, given = condition.operator, condition.value
    if operator in ALONE:
        return None
    if operator not in {"in", "not in", "between"}:
        return _single(field, operator, given)
    values = given.split(",") if isinstance(given, str) else given
    if not isinstance(values, list | tuple) or not 1 <= len(values) <= MOST:
        raise ValidationError(
            f"{field.label} is compared by {operator!r} with a list of 1 to {MOST:,} values; "
            f"{str(given)[:60]!r} is none.",
            "invalid_filter",
        )
    if operator == "between" and len(values) != 2:
        raise ValidationError(
            f"{field.label} is compared by 'between' with two values; here are {len(values)}.",
            "invalid_filter",
        )
    return [_single(field, operator, each) for each in values]


def _single(field: Field, operator: str, given: Any) -> Any:
    text = str(given).strip() if field.kind in PARSERS else str(given)
    if given is None or isinstance(given, list | dict) or not text or "\0" in text:
        raise ValidationError(
            f"{field.label} is compared by {operator!r}, so a value is needed; for none, "
            "compare by 'empty' or 'not empty'.",
            "invalid_filter",
        )
    if field.kind is Kind.VALUE:
        return _number_or_text(text) if operator in COMPARISONS else text
    if field.kind is Kind.CHOICE:
        return _choice(field, text)
    if field.kind not in PARSERS:
        return text
    parse, example = PARSERS[field.kind]
    try:
        return _fitting(field, parse(text))
    except (ValueError, OverflowError, InvalidOperation):
        raise ValidationError(
            f"{field.label} is compared by {operator!r} with {example}; {text[:60]!r} is none.",
            "invalid_filter",
        ) from None


def _fitting(field: Field, value: Any) -> Any:
    """A number as it stands: the field itself would round it, and an index takes whole ones."""
    if not isinstance(value, Decimal):
        return value
    is_whole = abs(value) < BIGGEST and value == value.to_integral_value()
    takes_whole = isinstance(field.model_field, IntegerField | AutoField)
    return int(value) if is_whole and takes_whole else Value(value, Numeric())


def _choice(field: Field, text: str) -> Any:
    if text not in dict(field.choices):
        raise ValidationError(
            f"{field.label} is never {text[:60]!r}; it is one of "
            f"{', '.join(value for value, _ in field.choices[:20])}.",
            "invalid_filter",
        )
    return field.model_field.to_python(text)


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite() or abs(value.adjusted()) > 1000:
        raise ValueError(text)
    return value


def _number_or_text(text: str) -> Decimal | str:
    try:
        return _number(text)
    except (ValueError, InvalidOperation):
        return text


def _moment(text: str) -> dt.datetime:
    value = dt.datetime.fromisoformat(text)
    return timezone.make_aware(value) if timezone.is_naive(value) else value


PARSERS: dict[Kind, tuple[Callable[[str], Any], str]] = {
    Kind.NUMBER: (_number, "a number like 1234.5"),
    Kind.DATE: (dt.date.fromisoformat, "a date like 2026-03-31"),
    Kind.MOMENT: (_moment, "a time like 2026-03-31T12:30"),
}
