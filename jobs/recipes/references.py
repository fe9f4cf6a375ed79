"""References to rows of other tables by a code: found chunk by chunk, by PostgreSQL's own rules."""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, models

from jobs.recipes.converters import codes
from jobs.recipes.creating import Maker
from jobs.recipes.keys import folded_fields, quote

CACHE_LIMIT = 50_000  # codes


class Reference:
    """A relation to a model whose rows a file names by `code`, which is a field of that model.

    Codes match without regard to case if the model has a unique constraint on Lower(code). Call
    `load` with the cells of a chunk before `one` or `many`. A `maker` makes the rows that are
    missing.
    """

    def __init__(self, model: type[models.Model], code: str, maker: Maker | None = None):
        self.model = model
        self.maker = maker
        self.known: dict[str, Any] = {}
        self.table = quote(model._meta.db_table)
        field: Any = model._meta.get_field(code)
        is_text = isinstance(field, models.CharField | models.TextField)
        self.column = quote(field.column) + ("" if is_text else "::text")
        self.folds = code in folded_fields(model)

    def load(self, cells: Iterable[str], several: bool = False) -> None:
        """Look up the codes of these cells that are not known yet, in one query."""
        wanted = {cell.strip() for cell in set(cells)}
        if several:
            wanted = {code for cell in wanted for code in codes(cell)}
        missing = [code for code in wanted if code and code not in self.known]
        if not missing:
            return
        if len(self.known) + len(missing) > CACHE_LIMIT:
            self.known.clear()
            missing = [code for code in wanted if code]
        self._look_up(missing)
        if self.maker and (absent := [code for code in missing if code not in self.known]):
            if self.maker.is_dry:
                self.known.update(self.maker.note(absent))
            else:
                self.maker.make(absent)
                self._look_up(absent)

    def _look_up(self, missing: list[str]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT given, found.{self._key()} FROM unnest(%s::text[]) AS given "
                f"JOIN {self.table} AS found ON {self._fold(f'found.{self.column}')} = "
                f"{self._fold('given')}",
                [missing],
            )
            self.known.update(cursor.fetchall())

    def one(self, cell: str) -> Any:
        """The primary key of the row with this code."""
        try:
            return self.known[cell]
        except KeyError:
            pass
        try:
            return self.known[cell.strip()]
        except KeyError:
            raise self.unknown([cell.strip()]) from None

    def many(self, cell: str) -> list[Any]:
        """The primary keys, ascending, of the rows with these codes, separated by commas."""
        wanted = codes(cell)
        try:
            return sorted({self.known[code] for code in wanted} - {None})
        except KeyError:
            raise self.unknown([code for code in wanted if code not in self.known]) from None

    def unknown(self, missing: list[str]) -> ValidationError:
        meta = self.model._meta
        listed = ", ".join(map(repr, missing))
        if len(missing) == 1:
            sentence = f"There is no {meta.verbose_name} {listed}."
        else:
            sentence = f"There are no {meta.verbose_name_plural} {listed}."
        return ValidationError(sentence, "unknown_reference")

    def fold(self, texts: Iterable[str]) -> dict[str, tuple[str, bool]]:
        """For each text: how it is compared, and whether a row with this code exists."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT given, {self._fold('given')}, EXISTS (SELECT FROM {self.table} AS found "
                f"WHERE {self._fold(f'found.{self.column}')} = {self._fold('given')} OFFSET 0) "
                "FROM unnest(%s::text[]) AS given",
                [list(texts)],
            )
            return {given: (folded, exists) for given, folded, exists in cursor.fetchall()}

    def _fold(self, expression: str) -> str:
        return f"lower({expression})" if self.folds else expression

    def _key(self) -> str:
        return quote(self.model._meta.pk.column)
