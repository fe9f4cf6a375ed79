"""POST a message to another system, signed as Standard Webhooks (standardwebhooks.com) say.

Private addresses are refused unless JOBS_WEBHOOK_HOSTS names the host: who may launch a job must
not reach what only this machine reaches. Redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from urllib.parse import urlsplit

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from requests import PreparedRequest, Request, RequestException, Response
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress

from jobs.models import OutboxMessage
from jobs.outbox.failures import Failed, Refused

CONNECT_SECONDS, READ_SECONDS = 5, 10
SHOWN = 500  # characters of an answer that is kept
TRY_AGAIN = {408, 429}  # of the answers that say that the request is at fault


def send(message: OutboxMessage) -> None:
    """POST it once; raises Failed, or Refused when it is of no use to try again."""
    try:
        request = _request(message)
        host = urlsplit(str(request.url)).hostname or ""  # as the connection is going to read it
        with _session(host) as session, session.send(request, stream=True) as answer:
            _judge(answer, host)
    except InvalidIPAddress as error:
        raise Refused(
            f"{host} is {error}, an address of a private network. If that is meant to be,"
            " name the host in JOBS_WEBHOOK_HOSTS, and then send it again."
        ) from error
    except (InvalidSchema, InvalidURL, MissingSchema) as error:
        raise Refused(f"The URL cannot be used: {error}") from error
    except RequestException as error:
        raise Failed(f"There was no answer: {error}") from error


def _request(message: OutboxMessage) -> PreparedRequest:
    body = json.dumps(
        message.payload["json"], cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":")
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Millrace",
        "Idempotency-Key": message.dedupe_key,
        **signature(message.dedupe_key, body),
    }
    return Request("POST", message.payload["url"], data=body, headers=headers).prepare()


def signature(key: str, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows sender, age and repetition; unsigned without a secret.

    The id is the same at every try.
    """
    identity = f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    headers = {"webhook-id": identity, "webhook-timestamp": str(int(time.time()))}
    if settings.JOBS_WEBHOOK_SECRET:
        signed = f"{identity}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(_secret(), signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def _secret() -> bytes:
    try:
        return base64.b64decode(settings.JOBS_WEBHOOK_SECRET.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise Refused(
            "JOBS_WEBHOOK_SECRET is not whsec_ and base64: set it anew, and then send it again."
        ) from error


def _session(host: str) -> HTTPSession:
    session = HTTPSession(
        Config(
            ip_filter_enable=host.lower() not in settings.JOBS_WEBHOOK_HOSTS,
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(CONNECT_SECONDS, READ_SECONDS),
        )
    )
    session.trust_env = False  # no proxy, which would resolve names itself, and no .netrc
    return session


def _judge(answer: Response, host: str) -> None:
    if answer.ok and not answer.is_redirect and answer.status_code < 300:
        return
    said = f"{host} answered {answer.status_code}: {_beginning(answer)}"
    if 400 <= answer.status_code < 500 and answer.status_code not in TRY_AGAIN:
        raise Refused(said)
    raise Failed(said)


def _beginning(answer: Response) -> str:
    """What it says, as far as it is kept; a slow or endless answer is not waited for."""
    end, found = time.monotonic() + READ_SECONDS, b""
    for block in answer.iter_content(SHOWN):
        found += block
        if len(found) >= 4 * SHOWN or time.monotonic() > end:
            break
    return found.decode("utf-8", "replace").replace("\0", "")[:SHOWN].strip()
