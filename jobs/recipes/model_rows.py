"""Rows written one by one through the model: its full_clean(), its save(), its signals.

For models whose own code has to see every row. It is many times slower than the merge.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DataError, IntegrityError, models, transaction
from django.db.models.functions import Lower

from jobs.definition import Counters, ItemWarning, StagedChunk
from jobs.formats.base import ABSENT
from jobs.recipes.converters import json_text
from jobs.recipes.faults import by_field
from jobs.recipes.headers import Header
from jobs.recipes.keys import folded_fields
from jobs.recipes.modes import LEFT_OUT, Mode
from jobs.recipes.refusals import explain
from jobs.recipes.staging import Kind, StagedField
from jobs.resources import Resource

Key = tuple[Any, ...]
Row = tuple[Any, ...]


class ModelStager:
    """The Stager of imports that go through the model; it works on Django's connection.

    The rows of a chunk are values in the order of `staged`. One that the model or the database
    refuses is rolled back alone, and becomes warnings of the chunk.
    """

    def __init__(self, resource: Resource, staged: list[StagedField], header: Header, mode: str):
        self.model = resource.model
        self.staged = staged
        self.mode = Mode(mode)
        self.keys = [of for of in staged if of.field.name in resource.key_fields()]
        self.folded = folded_fields(self.model)
        self.shown = {
            column.field: header.names[header.known.index(column.names[0])]
            for column in reversed(header.columns)
        }

    def prepare(self, cursor: psycopg.Cursor) -> None:
        """Nothing is staged in the database."""

    def stage(self, cursor: psycopg.Cursor, chunk: StagedChunk) -> None:  # noqa: ARG002
        """Keep the rows: the engine lets go of them."""
        self.chunk, self.rows = chunk, [*chunk.rows]
        self.rejected = [*chunk.rejected]

    def merge(self, cursor: psycopg.Cursor, low: int, high: int) -> Counters:
        found = self._existing(low, high)
        superseded, seen = self._superseded(low, high), set()
        counters, warnings, failed = Counters(), [], []
        for n in range(low, high):
            if later := superseded.get(n):
                said = f"Row {self.chunk.row_numbers[later]} has the same key and came later."
                warnings.append(self._warning(n, "superseded", said, outcome="skipped"))
                counters.skipped += 1
                continue
            if (key := self._key(self.rows[n])) in seen:
                found |= self._existing(n, n + 1)
            seen.add(key)
            outcome, said_of_row = self._write_alone(n, found)
            setattr(counters, outcome, getattr(counters, outcome) + 1)
            warnings += said_of_row
            if outcome == "failed":
                failed.append((self.chunk.row_numbers[n], self.chunk.records[n]))
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        self.chunk.warnings += warnings
        self.chunk.rejected = self.rejected = [*self.rejected, *failed]
        return counters

    def _superseded(self, low: int, high: int) -> dict[int, int]:
        """The rows of this range of which a later one says all anew: number to the last's."""
        found, following, last = {}, dict[Key, int](), dict[Key, int]()
        for n in reversed(range(low, high)):
            key = self._key(self.rows[n])
            if key in following and self._is_whole(self.rows[following[key]]):
                found[n] = last[key]
            following[key] = n
            last.setdefault(key, n)
        return found

    def _is_whole(self, row: Row) -> bool:
        return all(
            value is not ABSENT and (of.kind is not Kind.MERGED or value.keys() >= {*of.keys})
            for value, of in zip(row, self.staged, strict=True)
            if of.kind is not Kind.DEFAULT
        )

    def explain(self, error: Exception, _: int) -> tuple[str, str, str, str]:
        """What a refusal of a row means: code, sentence, column and value of a warning."""
        cause = error if isinstance(error, psycopg.Error) else error.__cause__
        if isinstance(cause, psycopg.Error):
            code, message, column = explain(cause, self.model)
            return code, message, self.shown.get(column, column), ""
        return "refused", f"The model refused the row: {error}.", "", ""

    # --- One row ----------------------------------------------------------------------------------

    def _write_alone(self, n: int, found: dict[Key, Any]) -> tuple[str, list[ItemWarning]]:
        """Write a row in a savepoint: what became of it, and what is to be said."""
        row = self.rows[n]
        there = found.get(self._key(row))
        if (self.mode == Mode.CREATE and there) or (self.mode == Mode.UPDATE and not there):
            return "skipped", [self._warning(n, *LEFT_OUT[self.mode], outcome="skipped")]
        try:
            with transaction.atomic():
                return self._write(row, there), []
        except ValidationError as error:
            return "failed", [
                self._warning(
                    n,
                    each.code or "invalid",
                    " ".join(each.messages),
                    "" if name == NON_FIELD_ERRORS else self.shown.get(name, name),
                )
                for name, each in by_field(error)
            ]
        except (IntegrityError, DataError) as error:
            return "failed", [self._warning(n, *self.explain(error, n))]

    def _write(self, row: Row, there: Any) -> str:
        instance = there or self.model()
        differs, links = there is None, {}
        for of, value in zip(self.staged, row, strict=True):
            if value is ABSENT and (there or of.given is None) and of.kind is not Kind.DEFAULT:
                continue
            if of.kind is Kind.MANY:
                links[of.field.name] = value
            elif there is None or (of.kind is not Kind.DEFAULT and of not in self.keys):
                differs |= self._set(instance, of, value)
        changed = {name for name, pks in links.items() if self._links(there, name) != set(pks)}
        if not differs and not changed:
            return "unchanged"
        instance.full_clean()
        instance.save()
        for name in changed:
            getattr(instance, name).set(links[name])
        return "updated" if there else "created"

    def _set(self, instance: Any, of: StagedField, value: Any) -> bool:
        """Give a field its value; returns whether it had another one."""
        name = of.field.attname
        before = getattr(instance, name)
        if of.kind is Kind.DEFAULT or value is ABSENT:
            value = before if of.given is None else of.given
        elif of.kind is Kind.PARENT:
            value = None if value is None else self._parent(of, value)
        elif of.kind is Kind.MERGED:
            kept = {key: old for key, old in (before or {}).items() if key not in value}
            given = {key: new for key, new in value.items() if new is not None}
            further = (of.given or {}) if instance.pk is None else {}
            further = {key: new for key, new in further.items() if key not in value}
            value = kept | further | given
        if isinstance(of.field, models.JSONField) and value is not None:
            value = json.loads(json_text(value))
        setattr(instance, name, value)
        return bool(before != value)

    def _parent(self, of: StagedField, code: str) -> Any:
        (key,) = self.keys
        exact = {f"{key.field.name}{'__iexact' * (key.field.name in self.folded)}": code}
        parent = self.model._default_manager.filter(**exact).values_list("pk", flat=True).first()
        if parent is None:
            said = ValidationError(f"{code!r} was itself left out.", "unknown_reference")
            raise ValidationError({of.field.name: said})
        return parent

    def _links(self, there: Any, name: str) -> set[Any]:
        return {other.pk for other in getattr(there, name).all()} if there else set()

    # --- Keys -------------------------------------------------------------------------------------

    def _existing(self, low: int, high: int) -> dict[Key, Any]:
        """The rows that are there already, locked, by their keys."""
        rows = self.model._default_manager.select_for_update(no_key=True, of=("self",))
        keys = [self._key(row) for row in self.rows[low:high]]
        for at, of in enumerate(self.keys):
            name = of.field.attname
            if of.field.name in self.folded:
                rows = rows.annotate(**{f"folded_{name}": Lower(name)})
                name = f"folded_{name}"
            rows = rows.filter(**{f"{name}__in": {key[at] for key in keys}})
        many = [of.field.name for of in self.staged if of.kind is Kind.MANY]
        found = rows.order_by("pk").prefetch_related(*many)
        names = [of.field.attname for of in self.keys]
        return {self._fold([getattr(row, name) for name in names]): row for row in found}

    def _key(self, row: Row) -> Key:
        return self._fold(row[: len(self.keys)])

    def _fold(self, values: Any) -> Key:
        return tuple(
            value.lower() if of.field.name in self.folded else value
            for value, of in zip(values, self.keys, strict=True)
        )

    def _warning(
        self,
        n: int,
        code: str,
        message: str,
        column: str = "",
        value: str = "",
        *,
        outcome: str = "failed",
    ) -> ItemWarning:
        return ItemWarning(
            code=code,
            message=message,
            row=self.chunk.row_numbers[n],
            key=self.chunk.keys[n],
            column=column,
            value=value,
            outcome=outcome,
        )
