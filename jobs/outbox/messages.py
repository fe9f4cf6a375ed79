"""Write messages in the transaction of the work that they tell of."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.db.models import QuerySet

from jobs.models import JobExecution, OutboxMessage
from jobs.models.base import ClockNow

Kind = OutboxMessage.Kind
KEY = re.compile(r"[!-~]{1,200}")  # it is sent as a header
MOST_RECIPIENTS = 50

# The execution that all this began with: a part belongs to its parent, and what continues an
# execution to that one, so that nothing is sent again that a predecessor has sent.
FIRST = """
WITH RECURSIVE chain AS (
  SELECT id, CASE WHEN partition IS NULL THEN continues_id ELSE parent_id END AS before
  FROM jobs_jobexecution WHERE id = %s
  UNION ALL
  SELECT e.id, CASE WHEN e.partition IS NULL THEN e.continues_id ELSE e.parent_id END
  FROM jobs_jobexecution e JOIN chain ON e.id = chain.before
)
SELECT id FROM chain WHERE before IS NULL
"""


def chain_of(execution: JobExecution) -> uuid.UUID:
    """The id of the first execution of its chain; the keys of the chain's messages begin so."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST, [execution.pk])
        return cursor.fetchone()[0]


def mail(key: str, *, to: Sequence[str], subject: str, text: str) -> OutboxMessage:
    """A mail, not yet written. Raises ValidationError for an address that is none."""
    if isinstance(to, str) or not 0 < len(to) <= MOST_RECIPIENTS:
        raise ValidationError(f"A mail has 1 to {MOST_RECIPIENTS} addresses in a list, not {to!r}.")
    for address in to:
        validate_email(address)
    if len(subject.splitlines()) > 1:
        raise ValidationError(f"The subject of a mail is one line: {subject!r}.")
    payload = {"to": list(to), "subject": subject, "text": text}
    return OutboxMessage(dedupe_key=_checked(key), kind=Kind.MAIL, payload=payload)


def webhook(key: str, url: str, json: Any) -> OutboxMessage:
    """A call to another system, not yet written. Raises ValidationError for a URL that is none."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValidationError(f"A webhook goes to https://… or http://…, not to {url!r}.")
    payload = {"url": url, "json": json}
    return OutboxMessage(dedupe_key=_checked(key), kind=Kind.WEBHOOK, payload=payload)


def _checked(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValidationError(
            f"The key of a message has 1 to 200 letters, digits and signs of ASCII, no spaces;"
            f" {key!r} has not."
        )
    return key


def put(messages: Sequence[OutboxMessage]) -> None:
    """Write messages on Django's connection, in one statement; a key that is there stays.

    They are sent when the caller's transaction has committed.
    """
    OutboxMessage.objects.bulk_create(messages, ignore_conflicts=True)


def send_again(messages: QuerySet[OutboxMessage]) -> int:
    """Make those that have not been sent due now, with all their tries; returns how many."""
    return messages.filter(sent_at=None).update(due_at=ClockNow(), given_up_at=None, tries=0)
