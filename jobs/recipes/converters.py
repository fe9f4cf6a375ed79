"""Converters: closures that turn the text of one cell, which is never empty, into a value.

Each refuses a text with a ValidationError, whose code says what kind of fault it is.
"""

from __future__ import annotations

import datetime as dt
import json as jsonlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import (
    DecimalValidator,
    MaxLengthValidator,
    MaxValueValidator,
    MinValueValidator,
)
from django.db import models
from django.utils import timezone

from jobs.recipes.spelling import A_DATE, A_MOMENT, A_NUMBER, A_TEXT, reads

__all__ = [
    "A_DATE",
    "A_MOMENT",
    "A_NUMBER",
    "A_TEXT",
    "boolean",
    "choice",
    "choices",
    "codes",
    "date",
    "integer",
    "json",
    "moment",
    "number",
    "reads",
    "text",
]

Convert = Callable[[str], Any]

BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
WHOLE = re.compile(r"[+-]?\d{1,100}", re.ASCII).fullmatch
NUMBER = re.compile(r"[+-]?(\d{1,500}(\.\d{0,500})?|\.\d{1,500})", re.ASCII).fullmatch
SHOWN = 60  # characters of a value, or choices, within a sentence


class Text:
    """Text as it stands, of at most so many characters."""

    def __init__(self, longest: int | None = None):
        self.longest = longest

    def __call__(self, cell: str) -> str:
        if self.longest is not None and len(cell) > self.longest:
            raise ValidationError(
                f"The text has {len(cell)} characters; at most {self.longest} are allowed.",
                "too_long",
            )
        return cell

    def fits(self, cells: Iterable[str]) -> bool:
        """Whether all these cells are good: quicker than one by one."""
        return self.longest is None or max(map(len, cells), default=0) <= self.longest


text = Text


def integer(lowest: int | None = None, highest: int | None = None) -> Convert:
    """A whole number."""

    def convert(cell: str) -> int:
        if not WHOLE(cell) and not WHOLE(cell := cell.strip()):
            raise ValidationError(f"{_shown(cell)} is not a whole number.", "invalid_number")
        value = int(cell)
        _check_range(value, lowest, highest)
        return value

    return convert


def number(
    digits: int | None = None,
    places: int | None = None,
    lowest: Decimal | None = None,
    highest: Decimal | None = None,
) -> Convert:
    """A decimal number with a point, kept exactly; `digits` in all, `places` behind the point."""

    fits = NUMBER if places is None else _digits(digits, places).fullmatch

    @reads(A_NUMBER)
    def convert(cell: str) -> Decimal:
        if not fits(cell):
            _check_number(cell := cell.strip(), digits, places)
        value = Decimal(cell)
        if lowest is not None or highest is not None:
            _check_range(value, lowest, highest)
        return value

    return convert


def boolean() -> Convert:
    """1, true or yes; 0, false or no; in upper or lower case."""

    def convert(cell: str) -> bool:
        value = BOOLEANS.get(cell)
        if value is None and (value := BOOLEANS.get(cell.strip().lower())) is None:
            raise ValidationError(f"{_shown(cell)} is neither 1 nor 0.", "invalid_choice")
        return value

    return convert


def date(earliest: dt.date | None = None, latest: dt.date | None = None) -> Convert:
    """A date like 2026-03-31."""

    @reads(A_DATE)
    def convert(cell: str) -> dt.date:
        try:
            value = dt.date.fromisoformat(cell := cell.strip())
        except ValueError:
            value = None
        if value is None or value.isoformat() != cell:
            raise ValidationError(
                f"{_shown(cell)} is not a date; write it like 2026-03-31.", "invalid_date"
            )
        if (earliest and value < earliest) or (latest and value > latest):
            raise ValidationError(
                f"{value} is not between {earliest or 'any day'} and {latest or 'any day'}.",
                "invalid_date",
            )
        return value

    return convert


def moment() -> Convert:
    """A date and time like 2026-03-31T12:30:00+02:00; without an offset in the current zone."""

    @reads(A_MOMENT)
    def convert(cell: str) -> dt.datetime:
        try:
            value = dt.datetime.fromisoformat(cell.strip())
            return timezone.make_aware(value) if timezone.is_naive(value) else value
        except (ValueError, OverflowError):
            raise ValidationError(
                f"{_shown(cell)} is not a time; write it like 2026-03-31T12:30:00+02:00.",
                "invalid_date",
            ) from None

    return convert


def json() -> Convert:
    """A JSON text; numbers are kept exactly."""

    def convert(cell: str) -> Any:
        try:
            value = jsonlib.loads(cell, parse_float=_exact, parse_constant=_exact)
            json_text(value).encode()
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"{_shown(cell)} is not JSON: {error}.", "invalid") from None
        return value

    return convert


def choice(allowed: Mapping[str, Any] | Iterable[str], code: str = "invalid_choice") -> Convert:
    """One of these texts, which may be a dictionary that says what is kept for each."""
    kept = allowed if isinstance(allowed, Mapping) else {value: value for value in allowed}

    def convert(cell: str) -> Any:
        try:
            return kept[cell]
        except KeyError:
            pass
        try:
            return kept[cell.strip().lower()]
        except KeyError:
            raise ValidationError(f"{_shown(cell)} is not one of {_listed(kept)}.", code) from None

    return convert


def choices(allowed: Mapping[str, Any] | Iterable[str], code: str = "invalid_choice") -> Convert:
    """Several of these texts, separated by commas, as a list; None for no text at all."""
    one = choice(allowed, code)
    return lambda cell: [one(part) for part in codes(cell)] or None


def codes(cell: str) -> list[str]:
    """Codes separated by commas, as a list."""
    return [part for part in map(str.strip, cell.split(",")) if part]


def for_field(field: models.Field) -> Convert:
    """The converter of a model field that is no relation: its type, choices and validators."""
    if field.choices:
        convert = choice({str(value): value for value, _ in field.flatchoices})
    else:
        convert = _by_type(field)
    checks = custom_checks(field)
    return _checked(convert, checks) if checks else convert


def custom_checks(field: models.Field) -> list[Callable[[Any], None]]:
    """The validators of a field that its type does not imply."""
    return [each for each in field.validators if not _is_built_in(each, field)]


def _by_type(field: models.Field) -> Convert:
    match field:
        case models.BooleanField():
            return boolean()
        case models.DateTimeField():
            return moment()
        case models.DateField():
            return date()
        case models.DecimalField():
            return number(field.max_digits, field.decimal_places)
        case models.IntegerField():
            return integer(*integer_range(field))
        case models.JSONField():
            return json()
        case models.CharField() | models.TextField() if _keeps_text(field):
            return text(field.max_length)
        case _:
            return _by_field(field)


def _by_field(field: models.Field) -> Convert:
    kinds = [A_NUMBER] if isinstance(field, models.FloatField) else []
    return reads(*kinds)(lambda cell: field.clean(cell, None))


def _keeps_text(field: models.Field) -> bool:
    return type(field).to_python in (models.CharField.to_python, models.TextField.to_python)


def integer_range(field: models.Field) -> tuple[int | None, int | None]:
    """The smallest and the largest value that an integer field allows."""
    limits = {MinValueValidator: max, MaxValueValidator: min}
    found: dict[type, int] = {}
    for validator in field.validators:
        kind, limit = type(validator), getattr(validator, "limit_value", None)
        if kind in limits and isinstance(limit, int):
            found[kind] = limits[kind](limit, found.get(kind, limit))
    return found.get(MinValueValidator), found.get(MaxValueValidator)


def limits_of_number(field: models.DecimalField) -> tuple[int, int]:
    """How many digits may stand before the point, and how many behind."""
    places = 500 if field.decimal_places is None else field.decimal_places
    return 500 if field.max_digits is None else field.max_digits - places, places


def _is_built_in(validator: Any, field: models.Field) -> bool:
    """Whether the converter of the field's type checks this already."""
    match field:
        case models.DecimalField():
            return type(validator) is DecimalValidator
        case models.IntegerField():
            return type(validator) in (MinValueValidator, MaxValueValidator) and isinstance(
                validator.limit_value, int
            )
        case models.CharField() | models.TextField():
            return type(validator) is MaxLengthValidator
        case models.BooleanField() | models.DateField() | models.JSONField():
            return False
        case _:
            return True  # field.clean has run them


def _checked(convert: Convert, checks: list[Callable[[Any], None]]) -> Convert:
    @reads(*getattr(convert, "reads", ()))
    def convert_and_check(cell: str) -> Any:
        value = convert(cell)
        for check in checks:
            check(value)
        return value

    return convert_and_check


def _check_range(value: Any, lowest: Any, highest: Any) -> None:
    if lowest is not None and value < lowest:
        raise ValidationError(f"{value} is less than {lowest}.", "invalid_number")
    if highest is not None and value > highest:
        raise ValidationError(f"{value} is more than {highest}.", "invalid_number")


def _digits(digits: int | None, places: int) -> re.Pattern[str]:
    """What a number looks like that has at most so many digits, but for zeros at its ends."""
    whole = 500 if digits is None else digits - places
    return re.compile(rf"[+-]?(?=\.?\d)0*\d{{0,{whole}}}(\.\d{{0,{places}}}0*)?", re.ASCII)


def _check_number(cell: str, digits: int | None, places: int | None) -> None:
    if not NUMBER(cell):
        raise ValidationError(
            f"{_shown(cell)} is not a number; write it with a point and without separators of "
            "thousands, like 1234.5.",
            "invalid_number",
        )
    whole, _, fraction = cell.partition(".")
    if places is not None and len(fraction.rstrip("0")) > places:
        raise ValidationError(
            f"{_shown(cell)} has more than {places} decimal places.", "invalid_number"
        )
    if digits is not None and len(whole.lstrip("+-0")) > digits - (places or 0):
        raise ValidationError(
            f"{_shown(cell)} is too large: at most {digits - (places or 0)} digits may stand "
            "before the point.",
            "invalid_number",
        )


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= SHOWN else cell[:SHOWN] + "…")


def _listed(allowed: Iterable[str]) -> str:
    words = sorted(allowed)
    return ", ".join(words[:12]) + (f" and {len(words) - 12} more" if len(words) > 12 else "")


def _exact(digits: str) -> Decimal:
    if not NUMBER(digits):
        value = Decimal(digits)
        if not value.is_finite() or abs(value.adjusted()) > 1000:
            raise ValueError(f"the number {digits} is out of range")
        return value
    return Decimal(digits)


# --- JSON text, for the staging table ---------------------------------------------------------


def json_text(value: Any) -> str:
    """The JSON text of a value as converters return them; raises ValueError for others."""
    try:
        return JSON_TEXTS[type(value)](value)
    except KeyError:
        raise ValueError(f"{type(value).__name__} has no form in JSON") from None


QUICK_JSON = jsonlib.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


def _json_string(value: str) -> str:
    if "\0" in value:
        raise ValueError("a text has a NUL character")
    return encode_basestring(value)


def _json_float(value: float) -> str:
    if not isfinite(value):
        raise ValueError(f"the number {value} is out of range")
    return repr(value)


def _json_object(value: dict[Any, Any]) -> str:
    try:
        text = QUICK_JSON(value)
    except (TypeError, ValueError, RecursionError):  # a number to keep exactly, a date, a fault
        pass
    else:
        if "\\u0000" not in text:
            return text
    members = (f"{_json_string(str(key))}:{json_text(of)}" for key, of in value.items())
    return "{" + ",".join(members) + "}"


JSON_TEXTS: dict[type, Callable[[Any], str]] = {
    str: _json_string,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    int: str,
    float: _json_float,
    Decimal: str,
    dt.date: lambda value: f'"{value.isoformat()}"',
    dt.datetime: lambda value: f'"{value.isoformat()}"',
    uuid.UUID: lambda value: f'"{value}"',
    list: lambda value: "[" + ",".join(map(json_text, value)) + "]",
    tuple: lambda value: "[" + ",".join(map(json_text, value)) + "]",
    dict: _json_object,
}
