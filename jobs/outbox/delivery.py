"""Send what is due, each message by one controller at a time.

A claim moves `due_at` ahead by JOBS_OUTBOX_LEASE_SECONDS: when the controller dies between sending
and marking, another sends the message again, with the same key.
"""

from __future__ import annotations

import logging
import random
import threading
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import QuerySet

from jobs.models import OutboxMessage
from jobs.models.base import ClockNow, seconds
from jobs.outbox import mails, webhooks
from jobs.outbox.failures import Failed, Refused

log = logging.getLogger(__name__)

SEND = {OutboxMessage.Kind.MAIL: mails.send, OutboxMessage.Kind.WEBHOOK: webhooks.send}
FIRST_WAIT_SECONDS = 10
LONGEST_WAIT_SECONDS = timedelta(days=1).total_seconds()
LEAVE_SECONDS = 2

CLAIM = """
UPDATE jobs_outboxmessage SET
  tries = tries + 1, due_at = clock_timestamp() + make_interval(secs => %s)
WHERE id = (
  SELECT id FROM jobs_outboxmessage
  WHERE sent_at IS NULL AND given_up_at IS NULL AND due_at <= clock_timestamp()
  ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING *
"""


class Courier(threading.Thread):
    """Delivers beside a controller, on a connection of its own: no network holds up a promise."""

    def __init__(self) -> None:
        super().__init__(name="courier", daemon=True)
        self._leaving = threading.Event()

    def run(self) -> None:
        while not self._leaving.is_set():
            if not self._deliver():
                self._leaving.wait(settings.JOBS_CONTROLLER_SECONDS)
        connection.close()

    def leave(self) -> None:
        """Finish what is being sent, if that takes a moment only."""
        self._leaving.set()
        self.join(LEAVE_SECONDS)

    def _deliver(self) -> bool:
        try:
            return deliver_next()
        except (DatabaseError, InterfaceError) as error:
            log.warning("Outbox: the database did not answer: %s", error)
            connection.close()
            return False


def deliver_next() -> bool:
    """Send the message that has been due longest; false when none is due."""
    message = _claim()
    if message is None:
        return False
    if message.tries > settings.JOBS_OUTBOX_TRIES:
        _give_up(message, f"The controller was ended {message.tries - 1} times while it sent this.")
        return True
    try:
        SEND[OutboxMessage.Kind(message.kind)](message)
    except Refused as error:
        _give_up(message, str(error))
    except Failed as error:
        _try_later(message, str(error))
    except Exception as error:
        log.exception("Outbox: sending %s raised an error.", message.dedupe_key)
        _try_later(message, f"It could not be sent: {type(error).__name__}: {error}")
    else:
        OutboxMessage.objects.filter(pk=message.pk).update(sent_at=ClockNow(), error="")
    return True


def _claim() -> OutboxMessage | None:
    found = list(OutboxMessage.objects.raw(CLAIM, [settings.JOBS_OUTBOX_LEASE_SECONDS]))
    return found[0] if found else None


def _try_later(message: OutboxMessage, error: str) -> None:
    if message.tries >= settings.JOBS_OUTBOX_TRIES:
        _give_up(message, f"Tried {message.tries} times. {error}")
        return
    later = ClockNow() + seconds(wait_seconds(message.tries))
    _own(message).update(due_at=later, error=error)


def wait_seconds(tries: int) -> float:
    """How long to wait after so many tries: doubled each time, up to a day, never in step."""
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (tries - 1))
    return longest * random.uniform(0.5, 1)


def _give_up(message: OutboxMessage, error: str) -> None:
    log.warning("Message %s is given up: %s", message.dedupe_key, error)
    _own(message).update(given_up_at=ClockNow(), error=error)


def _own(message: OutboxMessage) -> QuerySet[OutboxMessage]:
    """The row, while no other controller has claimed it since."""
    return OutboxMessage.objects.filter(pk=message.pk, tries=message.tries, sent_at=None)
