"""Why a request is refused. Each message is a sentence for the person who asked."""

from __future__ import annotations


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
