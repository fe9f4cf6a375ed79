"""Rows that a file names and that are not there yet: made from their code, where a launch says so.

They are committed at once, before the rows that name them: made twice at the same moment, or again
after a crash, they are there once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from jobs.resources import ResourceClass

SHOWN = 10  # codes within a sentence


def creatable(resource: ResourceClass) -> list[str]:
    """The relations of a resource whose rows need nothing but the code by which files name them."""
    found = []
    for name in resource.fields:
        field: Any = resource.model._meta.get_field(name)
        if field.is_relation and (field.many_to_many or field.related_model is not resource.model):
            others = field.related_model._meta.concrete_fields
            if all(_can_be_absent(of) for of in others if of.name != resource.lookups[name]):
                found.append(name)
    return found


def _can_be_absent(field: Any) -> bool:
    return (
        field.primary_key
        or field.null
        or field.has_default()
        or field.has_db_default()
        or field.generated
        or (field.blank and field.empty_strings_allowed)
        or getattr(field, "auto_now", False)
        or getattr(field, "auto_now_add", False)
    )


class Maker:
    """Makes the missing rows of one relation, and says so; `is_dry` only notes their codes."""

    def __init__(self, field: Any, code: str, says: Callable[[str], None], *, is_dry: bool):
        self.model: type[models.Model] = field.related_model
        self.code = code
        self.says = says
        self.is_dry = is_dry
        self.stand_in = None
        if is_dry and not (field.null or field.many_to_many):
            self.stand_in = self.model._default_manager.values_list("pk", flat=True).first()
        self.noted: list[str] = []  # codes that a dry run would have made

    def make(self, codes: list[str]) -> None:
        """Make rows with these codes, where the model allows them."""
        made = [self.model(**{self.code: code}) for code in sorted(codes)]
        valid = [each for each in made if self._is_valid(each)]
        self.model._default_manager.bulk_create(valid, ignore_conflicts=True)
        if valid:
            named = [repr(getattr(each, self.code)) for each in valid]
            more = f" and {len(named) - SHOWN:,} more" if len(named) > SHOWN else ""
            plural = self.model._meta.verbose_name_plural
            self.says(f"Created missing {plural}: {', '.join(named[:SHOWN])}{more}.")

    def note(self, codes: list[str]) -> dict[str, Any]:
        """What stands for the rows with these codes in a dry run."""
        valid = [code for code in sorted(codes) if self._is_valid(self.model(**{self.code: code}))]
        self.noted += valid
        return dict.fromkeys(valid, self.stand_in)

    def sentences(self) -> list[tuple[str, str]]:
        """The codes that were noted since the last time, and what is to be said of each."""
        noted, self.noted = self.noted, []
        name = self.model._meta.verbose_name
        return [(code, f"There is no {name} {code!r}; it would be created.") for code in noted]

    def _is_valid(self, row: models.Model) -> bool:
        others = [field.name for field in row._meta.concrete_fields if field.name != self.code]
        try:
            row.clean_fields(exclude=others)
        except ValidationError:
            return False
        return True
