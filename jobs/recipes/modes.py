"""Which rows of a file are written."""

from __future__ import annotations

from django.db import models


class Mode(models.TextChoices):
    """Which rows of a file are written; the others are skipped with a warning."""

    UPSERT = "upsert", "Create new rows and update existing ones"
    CREATE = "create", "Create new rows only"
    UPDATE = "update", "Update existing rows only"


LEFT_OUT = {
    Mode.CREATE: ("exists", "A row with this key exists already, and only new rows are created."),
    Mode.UPDATE: ("absent", "There is no row with this key, and only existing ones are updated."),
}
