"""Whole columns at once: the usual cells of the usual types, which COPY can take as they stand.

A check looks at all cells of a column in a few calls of C and says whether PostgreSQL reads every
one of them as the value that the converter of the field makes of it. Where it says no, the
converter looks at each cell, and may still find all of them good.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from json.encoder import encode_basestring
from typing import Any

from django.db import models

from jobs.recipes.converters import Text, custom_checks, for_field, integer_range, limits_of_number

Fits = Callable[[Collection[str]], bool]

DAY = r"\d{4}-\d\d-\d\d"
TIME = r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?"
OFFSET = r"(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)"  # what PostgreSQL takes, and a little less


def for_column(field: models.Field) -> Fits | None:
    """The check of a field's column, or None where every cell needs its converter."""
    if field.choices or custom_checks(field):
        return None
    match field:
        case models.DateTimeField():
            return _moments
        case models.DateField():
            return _dates
        case models.DecimalField():
            return _numbers(field)
        case models.IntegerField():
            return _integers(*integer_range(field))
    convert = for_field(field)
    return convert.fits if isinstance(convert, Text) else None


def as_json(cells: Collection[str]) -> bool:
    """Whether these texts stand in JSON as they are, but for the quotes around them."""
    joined = ",".join(cells)
    return len(encode_basestring(joined)) == len(joined) + 2


def _integers(lowest: int | None, highest: int | None) -> Fits:
    matches = _all_match(r"[+-]?\d{1,18}")

    def fit(cells: Collection[str]) -> bool:
        if not matches(cells):
            return False
        values = list(map(int, cells))
        return (lowest is None or min(values) >= lowest) and (
            highest is None or max(values) <= highest
        )

    return fit


def _numbers(field: models.DecimalField) -> Fits:
    whole, places = limits_of_number(field)
    fraction = rf"(?:\.\d{{1,{places}}})?" if places else ""
    return _all_match(rf"[+-]?\d{{1,{min(whole, 100)}}}{fraction}") if whole else _none


def _none(_: Collection[str]) -> bool:
    return False


def _dates(cells: Collection[str]) -> bool:
    return DATES(cells) and _all_parse(dt.date.fromisoformat, cells)


def _moments(cells: Collection[str]) -> bool:
    return MOMENTS(cells) and _all_parse(dt.datetime.fromisoformat, cells)


def _all_match(pattern: str) -> Fits:
    """Whether each cell is such a text: one match of all of them, joined."""
    matches = re.compile(rf"(?:{pattern},)*", re.ASCII).fullmatch

    def fit(cells: Collection[str]) -> bool:
        joined = ",".join(cells) + ","
        return joined.count(",") == len(cells) and matches(joined) is not None

    return fit


DATES = _all_match(DAY)
MOMENTS = _all_match(rf"{DAY}[T ]{TIME}{OFFSET}")


def _all_parse(parse: Callable[[str], Any], cells: Collection[str]) -> bool:
    with suppress(ValueError):
        for _ in map(parse, cells):
            pass
        return True
    return False
