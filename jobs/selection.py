"""Which rows of a resource are meant, which of their columns, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, OrderBy, Q, QuerySet
from django.db.models.lookups import IContains

from jobs.conditions import Condition, compile_condition, condition_from, in_words
from jobs.fields import Field, Kind, field_named, fields_named
from jobs.resources import Resource, ResourceClass

PARTS = ("filters", "search", "columns", "order")
LONGEST_SEARCH = 200  # characters
MOST_COLUMNS = 500


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rows of a resource: those that every filter and every word of the search finds.

    `columns` are names of fields, none of them for all; `order` are names of fields, with `-`
    before one for descending. What it says is read when it is used, not when it is made, so that
    `check()` tells about everything at once.
    """

    resource: ResourceClass
    filters: tuple[Condition, ...] = ()
    search: str = ""
    columns: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, resource: ResourceClass, given: Any) -> Selection:
        """The selection of a JSON object; raises ValidationError by part where it is none."""
        if not isinstance(given, dict):
            raise ValidationError("A selection is a JSON object.", "invalid")
        if unknown := sorted(set(given) - set(PARTS)):
            said = f"A selection has no {unknown[0]!r}; it has {', '.join(PARTS)}."
            raise ValidationError(said, "invalid")
        filters = given.get("filters") or []
        if not isinstance(filters, list):
            raise ValidationError({"filters": "Filters are a list."}, "invalid")
        try:
            conditions = tuple(condition_from(each) for each in filters)
        except ValidationError as error:
            raise ValidationError({"filters": error}) from None
        return cls(
            resource=resource,
            filters=conditions,
            search=str(given.get("search") or ""),
            columns=_names("columns", given.get("columns")),
            order=_names("order", given.get("order")),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "filters": [each.to_json() for each in self.filters],
            "search": self.search,
            "columns": [*self.columns],
            "order": [*self.order],
        }

    def check(self) -> None:
        """Raise ValidationError, by part, for everything in it that cannot be."""
        errors: dict[str, list[ValidationError]] = {}
        parts: dict[str, Iterable[Any]] = {
            "filters": (lambda each=each: self._condition(each) for each in self.filters),
            "search": [self._check_search],
            "columns": [self._check_columns, lambda: self.fields],
            "order": (lambda name=name: self._order_by(name) for name in self.order),
        }
        for part, questions in parts.items():
            for ask in questions:
                try:
                    ask()
                except ValidationError as error:
                    errors.setdefault(part, []).append(error)
        if errors:
            raise ValidationError(errors)

    def queryset(self) -> QuerySet[Any]:
        """The rows in order, of the resource's queryset; raises ValidationError."""
        rows = self.one.queryset()
        for condition in self.filters:
            rows = rows.filter(self._condition(condition))
        self._check_search()
        for word in self.search.split():
            rows = rows.filter(self._found(word))
        return rows.order_by(*(self._order_by(name) for name in self.order), "pk")

    def in_words(self) -> str:
        """What is selected, as people say it: `products whose Family is shoes, by SKU`."""
        said = str(self.resource.model._meta.verbose_name_plural)
        if self.filters:
            listed = " and ".join(in_words(self.resource, each, self.one) for each in self.filters)
            said += f" whose {listed}"
        if self.search.strip():
            said += f", found by “{self.search.strip()}”"
        if self.order:
            said += f", by {', '.join(self._order_word(name) for name in self.order)}"
        return said

    @property
    def fields(self) -> list[Field]:
        """The chosen columns; raises ValidationError for names that are none."""
        return fields_named(self.resource, self.columns, self.one)

    def models(self) -> set[type[Model]]:
        """The models that somebody must be allowed to view to see and to find these rows."""
        named = [*self.columns, *(each.field for each in self.filters)]
        named += [name.removeprefix("-") for name in self.order]
        fields = (field_named(self.resource, name, self.one) for name in named)
        return {self.resource.model, *(model for field in fields for model in field.models)}

    @cached_property
    def one(self) -> Resource:
        """An instance of the resource, which keeps what it has looked up."""
        return self.resource()

    def _condition(self, condition: Condition) -> Any:
        return compile_condition(self.resource, condition, self.one)

    def _check_search(self) -> None:
        if len(self.search) > LONGEST_SEARCH or "\0" in self.search:
            said = f"A search has at most {LONGEST_SEARCH} characters, and no NUL."
            raise ValidationError(said, "invalid")

    def _check_columns(self) -> None:
        if len(self.columns) > MOST_COLUMNS:
            said = f"There are {len(self.columns)} columns; at most {MOST_COLUMNS} can be chosen."
            raise ValidationError(said, "invalid")
        if double := sorted({name for name in self.columns if self.columns.count(name) > 1}):
            raise ValidationError(f"These columns are named twice: {', '.join(double)}.", "invalid")

    def _found(self, word: str) -> Q:
        """Whether a text field of the resource, or the code of a relation to one, has the word."""
        found = Q(pk__in=[])
        for name in self.resource.fields:
            if name not in self.resource.extra_fields():
                field = field_named(self.resource, name, self.one)
                if field.kind is Kind.TEXT:
                    found |= Q(IContains(field.expression, word))
        return found

    def _order_by(self, name: str) -> OrderBy:
        field = field_named(self.resource, name.removeprefix("-"), self.one)
        if not field.is_sortable:
            raise ValidationError(f"Rows cannot be ordered by {field.label}.", "invalid")
        may_be_null = bool(field.keys) or "__" in field.path or field.model_field.null
        last = True if may_be_null else None
        return OrderBy(field.expression, descending=name.startswith("-"), nulls_last=last)

    def _order_word(self, name: str) -> str:
        label = field_named(self.resource, name.removeprefix("-"), self.one).label
        return f"{label} descending" if name.startswith("-") else label


def _names(part: str, given: Any) -> tuple[str, ...]:
    """Names of fields, of which a text has several with commas between them."""
    names = given.split(",") if isinstance(given, str) else given or []
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValidationError({part: f"{part.capitalize()} are a list of names of fields."})
    return tuple(name.strip() for name in names if name.strip())
