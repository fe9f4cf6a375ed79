"""SQL for the cells of a file: what a value of the database looks like in each shape of a file."""

# ruff: noqa: S608 (what is put together are names and literals)

from __future__ import annotations

from django.db import models

from jobs.fields import Field, Kind
from jobs.formats.written import BOOLEAN, DATE, MOMENT, NUMBER, TEXT, WrittenColumn

# Spreadsheets take these texts for formulas; an apostrophe before them says that they are none.
FORMULA = r"^''*[=+\-@\t\r]"
FIRST_CODES = ", ".join(str(ord(letter)) for letter in "'=+-@\t\r")  # quicker than the pattern
SOME_CODES = ", ".join(str(ord(letter)) for letter in "[tf")  # of lists and truth values, as texts
DAY = "'YYYY-MM-DD'"
INSTANT = '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\''
AS_TEXT = r"E'\x01'"  # see XlsxWriter
SHEET_DIGITS = 15  # which a number of a spreadsheet can have
SHEET_DAYS = "BETWEEN DATE '1900-03-01' AND DATE '9999-12-31'"


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


def is_free(field: Field) -> bool:
    """Whether it is free text, which might look like a formula."""
    return bool(field.keys) or field.kind is Kind.CODES or written(field, "").kind == TEXT


def text_cell(source: str, field: Field) -> str:
    """The text of a cell, as the import takes it; that of a JSON key goes through `finished`."""
    if field.keys:
        return _key_text(source, field.keys)
    if field.kind is Kind.CODES:
        return f"nullif(array_to_string({source}, ','), '')"
    match written(field, "").kind:
        case "boolean":
            return f"CASE {source} WHEN TRUE THEN '1' WHEN FALSE THEN '0' END"
        case "moment":
            return f"to_char({source} AT TIME ZONE 'UTC', {INSTANT})"
        case "date":
            return f"to_char({source}, {DAY})"
        case "number":
            return source
    return f"{source}::text"


def finished(text: str, source: str, field: Field, *, guard: bool) -> str:
    """The text, guarded, and a value of JSON as the import takes it.

    The first character tells for nearly all texts that there is nothing to do.
    """
    if len(field.keys) != 1:
        return guarded(text) if guard and is_free(field) else text
    value = f"({source} -> {quoted(field.keys[0])})"
    if guard:
        suspects, codes, done = f"{SOME_CODES}, {FIRST_CODES}", guarded("codes"), guarded(text)
    else:
        suspects, codes, done = SOME_CODES, "codes", text
    return (
        f"CASE WHEN ascii({text}) IN ({suspects}) THEN "
        f"CASE jsonb_typeof({value}) WHEN 'array' THEN "
        f"(SELECT {codes} FROM (SELECT string_agg(part, ',' ORDER BY place) AS codes "
        f"FROM jsonb_array_elements_text({value}) WITH ORDINALITY AS parts(part, place)) AS list) "
        f"WHEN 'boolean' THEN CASE WHEN {value}::boolean THEN '1' ELSE '0' END "
        f"ELSE {done} END ELSE {text} END"
    )


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
    return text_cell(source, field)


def json_cell(source: str, field: Field) -> str:
    """A value that becomes JSON as it is: numbers, truth values, lists and objects stay such."""
    if field.keys:
        return "".join([source, *(f" -> {quoted(key)}" for key in field.keys)])
    if field.kind in {Kind.CODES, Kind.JSON}:
        return source
    if written(field, "").kind in {BOOLEAN, NUMBER}:
        return source
    return text_cell(source, field)


def guarded(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    first = f"ascii({text})"  # most texts begin with a letter, whose code is higher
    is_formula = f"{first} < 65 AND {first} IN ({FIRST_CODES}) AND {text} ~ '{FORMULA}'"
    return f"CASE WHEN {is_formula} THEN '''' || {text} ELSE {text} END"


def quoted(text: str) -> str:
    """A text as an SQL literal within a statement that has parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def _key_text(source: str, keys: tuple[str, ...]) -> str:
    *outer, last = (quoted(key) for key in keys)
    return f"({' -> '.join([source, *outer])} ->> {last})"
