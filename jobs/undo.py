"""The job that undoes what another execution changed, by its ledger.

An execution like any other: it can be paused, stopped and continued, and it keeps a ledger of its
own, by which it can be undone as well. It is launched by `control.undo`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from django import forms
from django.db.models import Model, QuerySet

from jobs.definition import Cursor, Job, JobError, Pace, StagedChunk, StagedStep, job
from jobs.models import JobExecution, RowChange
from jobs.recipes.ledger import Ledger
from jobs.recipes.undo import UndoStager

UNDO = "jobs.undo"


def chain_of(execution: JobExecution, *, whole: bool) -> list[JobExecution]:
    """The execution and, for the whole chain, those it continues: newest first."""
    found = [execution]
    while whole and found[-1].continues:
        found.append(found[-1].continues)
    return found


def changes_of(executions: Sequence[JobExecution]) -> QuerySet[RowChange]:
    """The lines of what these executions changed."""
    lines = RowChange.objects.filter(execution__in=[one.pk for one in executions])
    return lines.exclude(outcome=RowChange.Outcome.UNCHANGED)


@job(UNDO, label="Undo", permissions=("jobs.undo_execution",), overlap="reject")
class Undo(Job):
    """Put rows back to what they were before an execution changed them.

    Rows that somebody has changed since are left alone, and listed as warnings.
    """

    class Parameters(forms.Form):
        execution = forms.UUIDField(help_text="The execution that is undone.")
        chain = forms.BooleanField(
            required=False,
            label="The whole chain",
            help_text="Also what the executions have changed that it continues.",
        )

    @classmethod
    def key(cls, parameters: dict[str, Any]) -> str:
        return str(parameters.get("execution", ""))

    def steps(self) -> list[StagedStep]:
        return [
            StagedStep(
                name="undo",
                label="Undo changes",
                chunks=self.chunks,
                stager=self._stager,
                count=lambda: changes_of(self._undone).values("target").distinct().count(),
            )
        ]

    def _stager(self) -> UndoStager:
        ledger = Ledger(self.workspace.execution_id)
        return UndoStager(self._model, [one.pk for one in self._undone], ledger)

    def chunks(self, cursor: Cursor | None, pace: Pace) -> Iterator[StagedChunk]:
        """Numbers of lines, newest first: those of one execution after the other."""
        place, last = cursor or (0, None)
        for number, execution in enumerate(self._undone[place:], place):
            lines = changes_of([execution]).order_by("-pk")
            while True:
                behind = lines if last is None else lines.filter(pk__lt=last)
                page: list[Any] = list(behind.values_list("pk", "row", "key")[: pace.size])
                if not page:
                    break
                last = page[-1][0]
                yield StagedChunk(
                    rows=[(pk,) for pk, _, _ in page],
                    row_numbers=[row for _, row, _ in page],
                    keys=[key for _, _, key in page],
                    cursor=[number, last],
                )
            last = None

    @cached_property
    def _undone(self) -> list[JobExecution]:
        own = JobExecution.objects.select_related("undoes").get(pk=self.workspace.execution_id)
        if own.undoes is None or own.undoes.pk != self.parameters["execution"]:
            raise JobError(
                "Nothing was undone: an undo is launched from the execution that it undoes."
            )
        return chain_of(own.undoes, whole=self.parameters["chain"])

    @property
    def _model(self) -> type[Model]:
        model = self._undone[0].ledger_model
        if model is None:
            raise JobError("The job that made the changes is no longer installed.")
        return model
