"""What the tables share."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import connection, models
from django.db.models.functions import Now


class UUIDv7(models.Func):
    """PostgreSQL's time-ordered UUID: ids sort by the moment they were made."""

    function = "uuidv7"
    template = "%(function)s()"
    output_field = models.UUIDField()


def first_id(moment: dt.datetime) -> uuid.UUID:
    """The lowest id that can have been made at that moment or later, to the millisecond."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def database_now() -> dt.datetime:
    """The clock that leases and deadlines are measured by; workers' own clocks may be wrong."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


class ClockNow(Now):
    """clock_timestamp(): the present moment even inside a long transaction."""

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="CLOCK_TIMESTAMP()", **context)


def seconds(value: float) -> dt.timedelta:
    """A span of time."""
    return dt.timedelta(seconds=value)
