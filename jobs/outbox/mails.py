"""Send a mail by Django's backend."""

from __future__ import annotations

import hashlib
from email.utils import parseaddr
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused

from django.conf import settings
from django.core.mail import EmailMessage

from jobs.models import OutboxMessage
from jobs.outbox.failures import Failed, Refused

NO_SERVER = "django.core.mail.backends.dummy.EmailBackend"
PERMANENT = 500  # a server's code from here on says that another try is of no use


def send(message: OutboxMessage) -> None:
    """Hand the mail to the server; raises Failed, or Refused for what it will never take."""
    if settings.EMAIL_BACKEND == NO_SERVER:
        raise Refused("No mail server is set up: set EMAIL_URL, and then send it again.")
    payload = message.payload
    mail = EmailMessage(
        payload["subject"],
        payload["text"],
        to=payload["to"],
        headers={"Message-ID": message_id(message), "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _failure(f"The mail server takes no mail for {_each(error)}.", min(codes)) from error
    except SMTPDataError as error:
        said = f"The mail server answered {error.smtp_code}: {_text(error.smtp_error)}"
        raise _failure(said, error.smtp_code) from error
    except (SMTPException, OSError) as error:
        raise Failed(f"The mail server did not take it: {error}") from error


def message_id(message: OutboxMessage) -> str:
    """The same at every try: by it mail programs know a repetition."""
    digest = hashlib.sha256(message.dedupe_key.encode()).hexdigest()[:32]
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{digest}@{domain}>"


def _failure(said: str, code: int) -> Failed | Refused:
    return Refused(said) if code >= PERMANENT else Failed(said)


def _each(error: SMTPRecipientsRefused) -> str:
    refused = error.recipients.items()
    return ", ".join(f"{address} ({code} {_text(said)})" for address, (code, said) in refused)


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
