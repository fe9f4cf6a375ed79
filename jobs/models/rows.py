"""What an execution did to single rows: the ledger of changes, and the rows that were refused."""

from __future__ import annotations

from django.db import models

from jobs.models.execution import JobExecution
from jobs.models.step import StepExecution


class RowChange(models.Model):
    """A line of the ledger: what became of one row, written in the transaction that did it.

    `before` and `after` hold the changed fields only, by name: a column as PostgreSQL's JSON has
    it, a many-to-many relation as the list of primary keys in ascending order. `before` is null
    for a created row and `after` for a deleted one.
    """

    class Outcome(models.TextChoices):
        CREATED = "created", "Created"
        UPDATED = "updated", "Updated"
        UNCHANGED = "unchanged", "Unchanged"
        DELETED = "deleted", "Deleted"

    # No constraint of the database: checking it a million times would cost more than the line.
    execution = models.ForeignKey(
        JobExecution,
        models.CASCADE,
        related_name="row_changes",
        db_index=False,
        db_constraint=False,
    )
    row = models.PositiveBigIntegerField(null=True)  # of the file, 1 is the first line of data
    key = models.CharField(max_length=200)
    target = models.CharField(max_length=64)  # its primary key, as text
    outcome = models.CharField(max_length=10, choices=Outcome)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ("id",)
        default_permissions = ()
        indexes = (models.Index(fields=("execution", "id"), name="row_change_execution_idx"),)

    def __str__(self) -> str:
        return f"{self.key}: {self.outcome}"


class RejectedRow(models.Model):
    """A row of a file that was not imported, as it stood there: what the rejected-rows file has.

    Written with its warnings, which say why; `cells` are in the order of the step's `columns`;
    null stands for what the record of a sparse file lacks.
    """

    execution = models.ForeignKey(
        JobExecution, models.CASCADE, related_name="rejected_rows", db_index=False
    )
    step = models.ForeignKey(StepExecution, models.CASCADE, related_name="rejected_rows")
    row = models.PositiveBigIntegerField()
    cells = models.JSONField()

    class Meta:
        ordering = ("row",)
        default_permissions = ()
        indexes = (models.Index(fields=("execution", "row"), name="rejected_row_execution_idx"),)

    def __str__(self) -> str:
        return f"Row {self.row:,}"
