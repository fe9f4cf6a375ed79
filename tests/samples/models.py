from django.db import models


class Effect(models.Model):
    """What a job did, without any unique key: a row applied twice is two rows."""

    execution = models.UUIDField(db_index=True)
    row = models.IntegerField()
    attempt = models.IntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = (
            models.CheckConstraint(name="no_row_is_thirteen", condition=~models.Q(row=13)),
        )

    def __str__(self) -> str:
        return f"{self.row} of {self.execution}"


class Stock(models.Model):
    """How many of something there are, which has to be said of each."""

    code = models.CharField(max_length=20, unique=True)
    count = models.IntegerField()
    note = models.TextField(default="", blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.code
