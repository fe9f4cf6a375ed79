"""A file before it is imported: its first rows, what they seem to hold, and where they could go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.definition import JobClass, JobError
from jobs.formats.reading import open_reader
from jobs.models import Upload
from jobs.recipes.headers import OWN, read_header
from jobs.recipes.import_form import read_options
from jobs.recipes.spelling import DatePattern
from jobs.resources import Resource, UnknownColumns

ROWS = 50
PATTERNS = ("dd.MM.yyyy", "MM/dd/yyyy", "dd/MM/yyyy")


@dataclass(frozen=True)
class Guess:
    """What the cells of a column seem to be, and how numbers and dates are spelled there.

    `kind` is empty, whole number, number, date, time, truth value or text.
    """

    kind: str
    decimal: str = ""
    date_format: str = ""


def _form(pattern: str, guess: Guess) -> tuple[Callable[[str], Any], Guess]:
    return re.compile(pattern, re.ASCII | re.IGNORECASE).fullmatch, guess


FORMS = (
    _form(r"[+-]?\d+", Guess("whole number")),
    _form(r"[+-]?\d*\.?\d+", Guess("number", decimal=".")),
    _form(r"[+-]?\d*,?\d+", Guess("number", decimal=",")),
    _form(r"true|false|yes|no", Guess("truth value")),
    _form(r"\d{4}-\d\d-\d\d", Guess("date")),
    _form(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", Guess("time")),
)


@dataclass(frozen=True)
class Preview:
    """The first rows of a file as an import would read them.

    `mapping` leads each column to the one of the resource that it seems to be for: an empty text
    leaves it out, None is for the person to decide. `known` are the columns to choose from.
    `decimal` and `date_format` are what the whole file seems to use. Where the file cannot be
    read, `fault` says why, and only the rows before it are there.
    """

    said: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)
    mapping: dict[str, str | None] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    decimal: str = "."
    date_format: str = ""
    fault: str = ""


def preview(job: JobClass, upload: Upload, parameters: dict[str, Any] | None = None) -> Preview:
    """The first rows of an uploaded file, read as an import with these parameters would."""
    resource: Resource = job.resource()  # type: ignore[attr-defined]  # of every ImportJob
    options = read_options(parameters or {})
    try:
        file: Any = upload.file.open("rb")
        with file, open_reader(file, upload.name, options, ROWS) as reader:
            reader.seek(reader.start)
            batch = reader.batch(ROWS)
            said, header, rows = reader.said(), reader.header, batch.records[:ROWS]
    except JobError as error:
        return Preview(fault=str(error), known=resource.names())
    guesses = guess_types(header, rows)
    return Preview(
        said=said,
        header=header,
        rows=rows,
        guesses=guesses,
        mapping=suggest_mapping(resource, header),
        known=resource.names(),
        decimal="," if "," in {guess.decimal for guess in guesses} else ".",
        date_format=next((guess.date_format for guess in guesses if guess.date_format), ""),
        fault=str(batch.fault or ""),
    )


def suggest_mapping(resource: Resource, header: Sequence[str]) -> dict[str, str | None]:
    """For each column of a file the one of the resource that it is for, as far as names tell.

    A name that the resource knows stays; case, spaces and marks do not matter, and labels of
    fields count too. Columns that are left out have an empty text, unknown ones None.
    """
    left_out = {name for name in header if name in OWN or name in resource.ignore}
    unknown = set(_unknown(resource, [name for name in header if name not in left_out]))
    candidates, listed = _candidates(resource), set(resource.names())
    taken = listed & set(header)
    found: dict[str, str | None] = {}
    for name in header:
        guess = name if name in listed else candidates.get(_folded(name))
        if name not in listed and (guess is None or guess in taken):
            guess = None if name in unknown else name
        if guess and name not in left_out:
            taken.add(guess)
        found[name] = "" if name in left_out else guess
    return found


def guess_types(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Guess]:
    """What each column of these rows seems to be."""
    columns: list[list[str]] = [[] for _ in header]
    for cells in rows:
        for column, cell in zip(columns, cells, strict=False):
            if text := cell.strip():
                column.append(text)
    return [_guess(cells) for cells in columns]


def _guess(cells: list[str]) -> Guess:
    if not cells:
        return Guess("empty")
    for is_one, guess in FORMS:
        if all(map(is_one, cells)):
            return guess
    for pattern in PATTERNS:
        if all(_is_date(DatePattern(pattern), cell) for cell in cells):
            return Guess("date", date_format=pattern)
    return Guess("text")


def _is_date(pattern: DatePattern, cell: str) -> bool:
    found = pattern.date(cell)
    return found is not None and found[5:7] <= "12" and found[8:] <= "31"


def _unknown(resource: Resource, names: list[str]) -> list[str]:
    try:
        resource.columns(names)
    except UnknownColumns as error:
        return error.names
    return []


def _candidates(resource: Resource) -> dict[str, str]:
    """What a header may mean, folded, to the name of the column; names come before labels."""
    found: dict[str, str] = {}
    for name in resource.fields:
        field: Any = resource.model._meta.get_field(name)
        found[_folded(str(field.verbose_name))] = resource.field_column(name).names[0]
    for alias, name in resource.aliases.items():
        found[_folded(alias)] = found[_folded(name)] = alias
    return found | {_folded(name): name for name in reversed(resource.names())}


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def mistake(job: JobClass, header: list[str], mapping: dict[str, str]) -> str:
    """What an import would say against this header and mapping, or nothing."""
    try:
        read_header(job.resource(), header, mapping)  # type: ignore[attr-defined]
    except JobError as error:
        return str(error)
    return ""
