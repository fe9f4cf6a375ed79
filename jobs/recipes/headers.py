"""From the header of a file to the columns of a resource: mapped, left out, or refused by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from django.db import models

from jobs.definition import JobError
from jobs.resources import Column, Resource, UnknownColumns

OWN = frozenset({"__row", "__reason"})  # columns of our rejected-rows files


@dataclass(frozen=True)
class Header:
    """The columns of one file: `names` as they stand there, `known` as the resource knows them.

    An empty text in `known` is a column that is left out; both lists have the file's order.
    """

    names: list[str]
    known: list[str]
    left_out: list[str]
    columns: list[Column]

    @cached_property
    def fields(self) -> dict[str, int]:
        """The place of the column of each field of the model that has one alone."""
        alone = [column for column in self.columns if column.key is None]
        return {column.field: self.known.index(column.names[0]) for column in alone}

    def json_columns(self, resource: Resource) -> set[str]:
        """The columns of the file whose field keeps JSON as it is, lists too."""
        return {
            self.names[self.known.index(column.names[0])]
            for column in self.columns
            if column.key is None and _keeps_json(resource, column.field)
        }


def read_header(
    resource: Resource, names: list[str], mapping: dict[str, str] | None = None
) -> Header:
    """The columns that a file's header names; raises JobError before anything is written.

    `mapping` leads names of the file to those of the resource, or to nothing: left out.
    """
    mapping = mapping or {}
    known = ["" if name in OWN else mapping.get(name, name) for name in names]
    known = ["" if name in resource.ignore else name for name in known]
    _refuse_double(names, known)
    header = Header(
        names=names,
        known=known,
        left_out=[name for name, to in zip(names, known, strict=True) if not to],
        columns=columns_of(resource, names, known),
    )
    _refuse_missing(resource, header)
    return header


def columns_of(resource: Resource, names: list[str], known: list[str]) -> list[Column]:
    """The columns known by these names; raises JobError with the `names` that people gave."""
    try:
        return resource.columns([name for name in known if name])
    except UnknownColumns as unknown:
        said = [
            _unknown(resource, name, to)
            for name, to in zip(names, known, strict=True)
            if to in unknown.names
        ]
        raise JobError(
            f"{these('column', said)} not known to {resource.name}.{_near(resource, unknown.names)}"
            " Nothing was imported. Correct the header, map the columns to others, or leave them"
            " out."
        ) from None


def _unknown(resource: Resource, name: str, to: str) -> str:
    return repr(name) if name == to else f"{name!r}, mapped to {to!r},"


def _near(resource: Resource, names: Iterable[str]) -> str:
    """Which known names are meant, perhaps."""
    by_fold = {name.casefold(): name for name in resource.names()}
    near: dict[str, None] = {}
    for name in names:
        for found in get_close_matches(name.casefold(), by_fold, n=2):
            near[by_fold[found]] = None
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _refuse_double(names: list[str], known: list[str]) -> None:
    for to in known:
        if to and known.count(to) > 1:
            both = [repr(name) for name, of in zip(names, known, strict=True) if of == to]
            raise JobError(f"The columns {' and '.join(both)} both lead to {to!r}; only one may.")


def _refuse_missing(resource: Resource, header: Header) -> None:
    fields = [(column.field, column.key) for column in header.columns]
    if double := sorted({field for field, key in fields if fields.count((field, key)) > 1}):
        raise JobError(f"More than one column of the file fills {', '.join(double)}.")
    missing = [
        name for column in header.columns for name in column.names if name not in header.known
    ]
    present = {column.field for column in header.columns}
    missing += [
        resource.field_column(field).names[0]
        for field in resource.key_fields()
        if field not in present
    ]
    if missing:
        raise JobError(
            f"{these('column', map(repr, missing))} missing in the file; nothing was imported."
        )


def _keeps_json(resource: Resource, field: str) -> bool:
    return isinstance(resource.model._meta.get_field(field), models.JSONField)


def these(noun: str, names: Iterable[str]) -> str:
    """`The column 'a' is`, `The columns 'a', 'b' are`."""
    listed = list(names)
    words = ", ".join(listed)
    return f"The {noun} {words} is" if len(listed) == 1 else f"The {noun}s {words} are"
