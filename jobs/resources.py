"""A resource: a Django model described once, from which its imports and exports follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import Model, QuerySet

from jobs.sources import source_of


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one column of a file, or several that belong together, maps to a field of the model.

    `names` are the header's names. With `key`, the value is kept under that key of a JSON field;
    with several names it is an object whose `parts` name their values in the same order, such as
    `{"amount": "2.5", "unit": "KILOGRAM"}`. `convert` takes the text of each cell (not all empty)
    and returns the value, or raises ValidationError; without it the field's own type decides, and
    text is kept under a key.
    """

    names: tuple[str, ...]
    field: str
    key: str | None = None
    parts: tuple[str, ...] = ()
    convert: Callable[..., Any] | None = None


class UnknownColumns(Exception):
    """A header has names that the resource does not know: `names`."""

    def __init__(self, names: list[str]):
        self.names = names
        super().__init__(", ".join(names))


class Resource:
    """Base of every resource: subclass it and give it a name with `@resource`.

    An instance lives as long as one execution, so it may keep what it has looked up. Columns that
    a file does not have leave their values as they are; an empty cell clears the value.
    """

    name: ClassVar[str] = ""
    model: ClassVar[type[Model]]
    key: ClassVar[str | tuple[str, ...]]  # the fields by which a row is found again
    fields: ClassVar[list[str]]
    lookups: ClassVar[dict[str, str]] = {}  # relation: the field of the related model in the file
    aliases: ClassVar[dict[str, str]] = {}  # header name: field
    extra: ClassVar[str | dict[str, str]] = {}  # JSON field: prefix of the columns it takes
    ignore: ClassVar[list[str]] = []  # header names that are left out
    converters: ClassVar[dict[str, Callable[[str], Any]]] = {}  # field: see Column.convert
    partitions: ClassVar[int] = 1  # so many executions divide the rows of an import, by key

    def clean(self, row: dict[str, Any]) -> dict[str, Any]:
        """Override to check or change one row before it is written.

        `row` maps the fields that the file has to their values: a relation to its primary key, a
        many-to-many one to a list of them, a JSON field to its keys (None clears one). Fields and
        keys that a JSON record lacks are not there. Raise Skip to leave the row out, or
        ValidationError to refuse it.
        """
        return row

    def extra_columns(self, names: list[str]) -> Iterable[Column]:
        """The columns for names that are no fields; those no column takes are unknown.

        Override to accept known names only, or to type them. By default every name goes to the
        JSON field of `extra` whose prefix it has, as text.
        """
        prefixes = sorted(self.extra_fields().items(), key=lambda item: -len(item[1]))
        for name in names:
            for field, prefix in prefixes:
                if name.startswith(prefix) and name != prefix:
                    yield Column(names=(name,), field=field, key=name.removeprefix(prefix))
                    break

    def extra_names(self) -> list[str]:
        """The names of further columns, as far as they can be listed: what mappings offer."""
        return []

    def names(self) -> list[str]:
        """The names that headers of files may have, as exports write them."""
        own = [
            self.field_column(name).names[0]
            for name in self.fields
            if name not in self.extra_fields()
        ]
        return own + [name for name in self.extra_names() if name not in own]

    def queryset(self) -> QuerySet[Any]:
        """The rows that an export writes."""
        return self.model._default_manager.all()

    def columns(self, header: list[str]) -> list[Column]:
        """The columns of a file with this header; raises UnknownColumns."""
        columns, rest = [], []
        for name in header:
            field = self.aliases.get(name, name)
            if field in self.fields:
                columns.append(self.field_column(field, name))
            elif name not in self.ignore:
                rest.append(name)
        extra = list(self.extra_columns(rest))
        taken = {name for column in extra for name in column.names}
        if unknown := [name for name in rest if name not in taken]:
            raise UnknownColumns(unknown)
        return columns + extra

    def field_column(self, field: str, name: str | None = None) -> Column:
        """The column of a field, by default under the name that exports give it."""
        if name is None:
            name = next((name for name, of in self.aliases.items() if of == field), field)
        return Column(names=(name,), field=field, convert=self.converters.get(field))

    @classmethod
    def key_fields(cls) -> tuple[str, ...]:
        return (cls.key,) if isinstance(cls.key, str) else tuple(cls.key)

    @classmethod
    def extra_fields(cls) -> dict[str, str]:
        """JSON fields that take further columns, and the prefix of the columns of each."""
        return {cls.extra: ""} if isinstance(cls.extra, str) else dict(cls.extra)

    @classmethod
    def sources(cls) -> Iterator[str]:
        """The source code of the resource and of the resources it is derived from."""
        for base in cls.__mro__:
            if base is Resource:
                return
            yield source_of(base) or base.__qualname__


ResourceClass = type[Resource]
RESOURCES: dict[str, ResourceClass] = {}
