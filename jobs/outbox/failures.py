"""How sending fails. Each message is a sentence for those who look after the outbox."""

from __future__ import annotations


class Failed(Exception):
    """It may succeed later."""


class Refused(Exception):
    """It would fail again: it is given up at once."""
