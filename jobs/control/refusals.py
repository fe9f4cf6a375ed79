"""Why a request is refused. Each message is a sentence for the person who asked."""

from __future__ import annotations

from django.utils import timezone
from django.utils.formats import date_format

from jobs.models import JobExecution


class Refused(Exception):
    """What was asked for cannot be done now; the message says why."""


class ProfileDisabled(Refused):
    """Launches of this profile are switched off."""


class IdempotencyMismatch(Refused):
    """The idempotency key has been used for another request."""


class AlreadyFinished(Refused):
    """It ended before the stop took effect."""


class UnderMaintenance(Refused):
    """Nothing is launched until the maintenance ends."""


class NothingThere(Refused):
    """What is to be stopped does not exist."""


class Overlapping(Refused):
    """As many executions are open as may run at once; `execution` is the oldest, if one sees it."""

    def __init__(self, execution: JobExecution, *, seen: bool):
        self.execution = execution if seen else None
        said = "As many are open as may run at once"
        if seen:
            since = timezone.localtime(execution.started_at or execution.queued_at)
            said = (
                f"“{execution.name}” is {execution.get_status_display().lower()}"
                f" since {date_format(since, 'j M Y, H:i')} {since.tzname()}"
            )
        super().__init__(f"{said}: nothing was launched. Wait for its end, or stop it.")
