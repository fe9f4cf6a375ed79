"""SQL for the cells of a file: what a value of the database looks like in each shape of a file."""

# ruff: noqa: S608 (what is put together are names and literals)

from __future__ import annotations

from typing import NamedTuple

from django.db import models

from jobs.fields import Field, Kind
from jobs.formats.written import BOOLEAN, DATE, MOMENT, NUMBER, TEXT, WrittenColumn

# Spreadsheets take these texts for formulas; an apostrophe before them says that they are none.
FORMULA = r"^''*[=+\-@\t\r]"
FIRST_CODES = ", ".join(str(ord(letter)) for letter in "'=+-@\t\r")  # quicker than the pattern
DAY = "'YYYY-MM-DD'"
INSTANT = '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\''
AS_TEXT = r"E'\x01'"  # see XlsxWriter
SHEET_DIGITS = 15  # which a number of a spreadsheet can have
SHEET_DAYS = "BETWEEN DATE '1900-03-01' AND DATE '9999-12-31'"


class Cell(NamedTuple):
    """SQL for the text of a cell, and whether it is free text, which might look like a formula."""

    text: str
    is_free: bool = True


def written(field: Field, name: str) -> WrittenColumn:
    """The column of a file for a field."""
    of = field.model_field
    if field.keys:
        return WrittenColumn(name)
    match of:
        case models.BooleanField():
            return WrittenColumn(name, BOOLEAN)
        case models.DateTimeField():
            return WrittenColumn(name, MOMENT)
        case models.DateField():
            return WrittenColumn(name, DATE)
        case models.DecimalField():
            return WrittenColumn(name, NUMBER, of.max_digits, of.decimal_places)
        case models.FloatField():
            return WrittenColumn(name, NUMBER)
        case models.IntegerField() | models.AutoField():
            return WrittenColumn(name, NUMBER, 19 if "Big" in of.get_internal_type() else 10, 0)
    return WrittenColumn(name, TEXT)


def text_cell(source: str, field: Field) -> Cell:
    """The text of a cell, as the import takes it."""
    if field.keys:
        return Cell(_key_text(source, field.keys))
    if field.kind is Kind.CODES:
        return Cell(f"nullif(array_to_string({source}, ','), '')")
    match written(field, "").kind:
        case "boolean":
            return Cell(f"CASE {source} WHEN TRUE THEN '1' WHEN FALSE THEN '0' END", is_free=False)
        case "moment":
            return Cell(f"to_char({source} AT TIME ZONE 'UTC', {INSTANT})", is_free=False)
        case "date":
            return Cell(f"to_char({source}, {DAY})", is_free=False)
        case "number":
            return Cell(source, is_free=False)
    return Cell(f"{source}::text")


def sheet_cell(source: str, field: Field) -> str:
    """The same, but numbers and dates as a sheet has them."""
    column = written(field, "")
    match column.kind:
        case "date":
            text = f"{AS_TEXT} || to_char({source}, {DAY})"
            days = f"({source} - DATE '1899-12-30')::text"
            return f"CASE WHEN {source} {SHEET_DAYS} THEN {days} ELSE {text} END"
        case "number" if column.places is None:
            odd = f"{source}::text IN ('NaN', 'Infinity', '-Infinity')"
            return f"CASE WHEN {odd} THEN {AS_TEXT} ELSE '' END || {source}::text"
        case "number" if column.digits is None or column.digits > SHEET_DIGITS:
            long = f"length({source}::text) > {SHEET_DIGITS + 1}"
            return f"CASE WHEN {long} THEN {AS_TEXT} ELSE '' END || {source}::text"
    return text_cell(source, field).text


def json_cell(source: str, field: Field) -> str:
    """A value that becomes JSON as it is: numbers, truth values, lists and objects stay such."""
    if field.keys:
        return "".join([source, *(f" -> {quoted(key)}" for key in field.keys)])
    if field.kind in {Kind.CODES, Kind.JSON}:
        return source
    if written(field, "").kind in {BOOLEAN, NUMBER}:
        return source
    return text_cell(source, field).text


def guarded(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    is_formula = f"ascii({text}) IN ({FIRST_CODES}) AND {text} ~ '{FORMULA}'"
    return f"CASE WHEN {is_formula} THEN '''' || {text} ELSE {text} END"


def quoted(text: str) -> str:
    """A text as an SQL literal within a statement that has parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def _key_text(source: str, keys: tuple[str, ...]) -> str:
    """A list with commas, a truth value as 1 or 0, anything else as its text."""
    *outer, last = (quoted(key) for key in keys)
    if outer:  # a part of a value, such as a unit, which is a text
        return f"({' -> '.join([source, *outer])} ->> {last})"
    key = last
    value = f"({source} -> {key})"
    return (
        f"CASE jsonb_typeof({value}) WHEN 'array' THEN "
        "(SELECT string_agg(part, ',' ORDER BY place) "
        f"FROM jsonb_array_elements_text({value}) WITH ORDINALITY AS parts(part, place)) "
        f"WHEN 'boolean' THEN CASE WHEN {value}::boolean THEN '1' ELSE '0' END "
        f"ELSE {source} ->> {key} END"
    )
