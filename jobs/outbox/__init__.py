"""Effects outside the database: mails and webhooks, written with the work and sent after it.

Promised is: at least once, always with the same key. A receiver that remembers keys acts once.
"""

from __future__ import annotations

from jobs.outbox.delivery import Courier, deliver_next
from jobs.outbox.messages import chain_of, mail, put, send_again, webhook

__all__ = ["Courier", "chain_of", "deliver_next", "mail", "put", "send_again", "webhook"]
