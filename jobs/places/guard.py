"""Connections to other machines: none to private addresses, none that waits for ever.

Whoever keeps credentials must not reach what only this machine reaches. JOBS_PLACE_HOSTS names
hosts of the own network that are meant. The address that was checked is the one connected to, so
that a name which changes its address in between leads nowhere else.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress, get_ip_address

from jobs.places.base import CONNECT_SECONDS, READ_SECONDS, NotThere, PlaceError, Unavailable

SHOWN = 300  # characters of an answer
QUERY = re.compile(r"\?[^\s'\")]*")
TRY_AGAIN = frozenset({408, 425, 429})


class GuardedSession(HTTPSession):
    """HTTP for one place: no redirects, no proxies, TLS unless the host is named as our own."""

    def __init__(self) -> None:
        super().__init__(
            Config(
                ip_filter_enable=True,
                ip_filter_allow_loopback_ips=False,
                never_redirect=True,
                default_timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
        )
        self.trust_env = False  # no proxy, which would resolve names itself, and no .netrc
        self._plain = HTTPAdapter()

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        return self._plain if is_ours(_host(url)) else super().get_adapter(url)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        url = str(request.url)
        if urlsplit(url).scheme != "https" and not is_ours(_host(url)):
            raise PlaceError(
                f"{_host(url)} would be reached without TLS: write https://, or name the host in"
                " JOBS_PLACE_HOSTS if it is of your own network."
            )
        return super().send(request, **options)


def is_ours(host: str) -> bool:
    """Whether the settings name the host as one of the own network."""
    return host.lower() in settings.JOBS_PLACE_HOSTS


def connect(host: str, port: int) -> socket.socket:
    """A TCP connection to the host, unless its address is private and not meant to be reached."""
    try:
        if is_ours(host):
            return _timed(socket.create_connection((host, port), CONNECT_SECONDS))
        address, port = get_ip_address(host, port, allow_loopback=False)
        return _timed(socket.create_connection((str(address), port), CONNECT_SECONDS))
    except InvalidIPAddress as error:
        raise PlaceError(_private(host, error)) from error
    except socket.gaierror as error:
        raise Unavailable(f"The name {host} is not known: {error.strerror}.") from error
    except OSError as error:
        raise Unavailable(f"{host}, port {port}, did not answer: {error}.") from error


@contextmanager
def speaking(place: Any, path: str = "") -> Iterator[None]:
    """What HTTP raises, as sentences.

    Nothing of the cause is kept: an address may hold a token, and tracebacks are logged.
    """
    try:
        yield
    except InvalidIPAddress as error:
        raise PlaceError(_private(place, error)) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        raise PlaceError(f"{place}: the address cannot be used. Correct the credential.") from None
    except requests.exceptions.InvalidHeader:
        raise PlaceError(
            f"{place}: the secret cannot be sent as a header. Enter it again in the credential."
        ) from None
    except requests.exceptions.SSLError as error:
        raise PlaceError(
            f"{place} shows no certificate that is trusted: {_short(error)} Have its certificate"
            " put right."
        ) from None
    except requests.RequestException as error:
        about = f" about {path!r}" if path else ""
        raise Unavailable(f"{place} did not answer{about}: {_short(error)}") from None


def judge(place: Any, path: str, status: int, said: str) -> None:
    """Raise what an answer of HTTP means, unless it is a good one."""
    if 200 <= status < 300:
        return
    text = f" It says: {said[:SHOWN].strip()}" if said.strip() else ""
    if status in {404, 410}:
        raise NotThere(f"{place} has no {path!r}. Correct the path, or wait for the file.{text}")
    if status in {401, 403}:
        raise PlaceError(
            f"{place} refuses {path!r} ({status}): the account may not, or its secret is wrong."
            f" Correct the credential.{text}"
        )
    if 300 <= status < 400:
        raise PlaceError(
            f"{place} sends elsewhere for {path!r} ({status}), which is not followed: enter the"
            " final address."
        )
    if 400 <= status < 500 and status not in TRY_AGAIN:
        raise PlaceError(f"{place} does not take {path!r} ({status}).{text}")
    raise Unavailable(f"{place} failed at {path!r} ({status}).{text}")


def _private(what: Any, error: Exception) -> str:
    return (
        f"{what} leads to {error}, an address of a private network. If that is meant to be, an"
        " operator names the host in JOBS_PLACE_HOSTS."
    )


def _host(url: str | bytes) -> str:
    return urlsplit(url if isinstance(url, str) else url.decode()).hostname or ""


def _short(error: Exception) -> str:
    """What it says, without the queries of addresses."""
    return f"{QUERY.sub('', str(error))[:SHOWN].rstrip('.')}."


def _timed(connection: socket.socket) -> socket.socket:
    connection.settimeout(READ_SECONDS)
    return connection
