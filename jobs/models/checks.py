"""What the last look at the invariants found."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from jobs.models.base import ClockNow


class InvariantCheck(models.Model):
    """The last look of a controller, in one row; whoever moves `began_at` on does the next.

    `found` maps the codes of violated invariants to {"count", "examples"}, `unchecked` those that
    could not be looked at to the reason.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    began_at = models.DateTimeField(db_default=ClockNow())
    checked_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    found = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    unchecked = models.JSONField(default=dict)

    class Meta:
        verbose_name = "invariant"
        default_permissions = ()
        constraints = (
            models.CheckConstraint(name="one_invariant_check", condition=models.Q(id=1)),
        )

    def __str__(self) -> str:
        return f"Invariants, looked at {self.checked_at}"
