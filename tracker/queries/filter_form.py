"""The form by which a filter is added to a grid: first its field, then what fits the field."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from django.core.exceptions import ValidationError
from django.http import QueryDict

from jobs.conditions import ALONE, WORDS, Condition
from jobs.fields import Field, Kind

INPUTS = {Kind.DATE: "date", Kind.MOMENT: "datetime-local"}


class FilterForm:
    """The filter that an address is making; `check` raises ValidationError where it cannot be."""

    def __init__(
        self, fields: dict[str, Field], params: QueryDict, check: Callable[[Condition], None]
    ):
        self.params, self._check = params, check
        self.by = fields.get(params.get("by", ""))

    @property
    def operators(self) -> list[tuple[str, str]]:
        """The operators to choose from; choices are ticked, so that one is no case apart."""
        if self.by is None:
            return []
        spared = {"=", "!="} if self.by.kind is Kind.CHOICE else set()
        return [(word, WORDS[word]) for word in self.by.operators if word not in spared]

    @property
    def needs_value(self) -> bool:
        return any(word not in ALONE for word, _ in self.operators)

    @property
    def takes_list(self) -> bool:
        return any(word == "in" for word, _ in self.operators)

    @property
    def takes_two(self) -> bool:
        return any(word == "between" for word, _ in self.operators)

    @property
    def input_type(self) -> str:
        return INPUTS.get(self.by.kind, "text") if self.by else "text"

    @property
    def given(self) -> list[str]:
        """The values that the form was sent with."""
        return [value for value in self.params.getlist("value") if value]

    @property
    def until(self) -> str:
        return self.params.get("until", "")

    @cached_property
    def added(self) -> Condition | None:
        """The filter, once the form was sent."""
        operator = self.params.get("operator", "")
        if self.by is None or not operator:
            return None
        if operator in ALONE:
            return Condition(self.by.name, operator)
        if operator == "between":
            return Condition(self.by.name, operator, [*self.given[:1], self.until])
        if operator in {"in", "not in"}:
            given = [each.strip() for text in self.given for each in text.split(",")]
            return Condition(self.by.name, operator, [each for each in given if each])
        return Condition(self.by.name, operator, ",".join(self.given))

    @cached_property
    def problems(self) -> list[str]:
        """What is wrong with it, in sentences."""
        try:
            if self.added:
                self._check(self.added)
        except ValidationError as error:
            return list(error.messages)
        return []
