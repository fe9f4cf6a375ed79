"""What new rows get in columns that the file does not have, where the launch says so."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from jobs.definition import JobError
from jobs.recipes.bound import BoundColumn, Form
from jobs.recipes.headers import Header, columns_of
from jobs.recipes.spelling import Spelling
from jobs.recipes.staging import Kind, StagedField, staged_fields
from jobs.resources import Column, Resource

NOT_GIVEN = (Kind.MANY, Kind.PARENT)


def with_defaults(
    resource: Resource,
    staged: list[StagedField],
    header: Header,
    defaults: dict[str, str],
    spelling: Spelling,
    *,
    sparse: bool = False,
) -> list[StagedField]:
    """The staged fields of a file, and those of defaults for columns that it does not have.

    In a `sparse` file, records may also lack columns that it has. Raises JobError for a default
    that its column cannot take.
    """
    known = () if sparse else header.known
    absent = {name: text for name, text in defaults.items() if name not in known and text}
    given: dict[str, Any] = {}
    for column in columns_of(resource, [*absent], [*absent]):
        value = _value(resource, column, absent, spelling)
        if column.key is None:
            given[column.field] = value
        else:
            given.setdefault(column.field, {})[column.key] = value
    named = {of.field.name: of for of in staged}
    for name, value in given.items():
        field: Any = resource.model._meta.get_field(name)
        own = named.get(name)
        kind = own.kind if own else Kind.DEFAULT
        keys = own.keys if own else ()
        named[name] = StagedField(field, kind, keys, given=value)
    return [*named.values()]


def _value(resource: Resource, column: Column, texts: dict[str, str], spelling: Spelling) -> Any:
    names = list(column.names)
    (staged, *_) = [of for of in staged_fields(resource, [column]) if of.field.name == column.field]
    if staged.kind in NOT_GIVEN or column.field in resource.key_fields():
        raise JobError(f"There can be no default for {names[0]!r}.")
    header = Header(names, names, [], [column])
    bound = BoundColumn(column, header, resource, staged, spelling=spelling, form=Form.VALUES)
    try:
        return bound.one([texts.get(name, "") for name in names])
    except (ValidationError, ValueError) as error:
        said = " ".join(getattr(error, "messages", None) or [str(error)])
        raise JobError(f"The default for {names[0]!r} cannot be used: {said}") from None
