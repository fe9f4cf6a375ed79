"""A web server: files are got by GET and put by PUT. It cannot be asked what it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import quote

import requests

from jobs.places.base import BLOCK_BYTES, Found, PlaceError
from jobs.places.guard import SHOWN, GuardedSession, judge, speaking


class HTTPS:
    """Addresses below one base URL."""

    def __init__(self, options: dict[str, str], secret: dict[str, str]):
        self.base = options["base_url"].rstrip("/")
        self._session = GuardedSession()
        self._session.headers["User-Agent"] = "Millrace"
        self._session.headers["Accept-Encoding"] = "identity"
        if secret.get("token"):
            self._session.headers["Authorization"] = f"Bearer {secret['token']}"
        if options["header"] and secret.get("header_value"):
            self._session.headers[options["header"]] = secret["header_value"]
        if options["user"]:
            self._session.auth = (options["user"].encode(), secret.get("password", "").encode())

    def __str__(self) -> str:
        return self.base

    def list(self, folder: str) -> Iterator[Found]:
        raise PlaceError(
            f"{self} cannot be asked which files it has{f' in {folder}' if folder else ''}: name"
            " one file instead of a pattern."
        )

    @contextmanager
    def read(self, path: str) -> Iterator[Iterator[bytes]]:
        with speaking(self, path):
            answer = self._session.get(self._url(path), stream=True)
        with answer:
            with speaking(self, path):
                judge(self, path, answer.status_code, _beginning(answer))
            yield self._blocks(answer, path)

    def _blocks(self, answer: requests.Response, path: str) -> Iterator[bytes]:
        with speaking(self, path):
            yield from answer.iter_content(BLOCK_BYTES)

    def write(self, path: str, file: BinaryIO, size: int, token: str) -> None:  # noqa: ARG002
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        data: Any = file if size else b""
        with speaking(self, path):
            answer = self._session.put(self._url(path), data=data, headers=headers, stream=True)
            with answer:
                judge(self, path, answer.status_code, _beginning(answer))

    def test(self) -> str:
        with speaking(self), self._session.get(self.base + "/", stream=True) as answer:
            if answer.status_code in {401, 403} or answer.status_code >= 500:
                judge(self, "/", answer.status_code, _beginning(answer))
            return f"{self} answered {answer.status_code} {answer.reason}.".replace(" .", ".")

    def close(self) -> None:
        self._session.close()

    def _url(self, path: str) -> str:
        return f"{self.base}/{quote(path)}"


def _beginning(answer: requests.Response) -> str:
    """What an answer that is no good says; a good one is not touched."""
    if 200 <= answer.status_code < 300:
        return ""
    return next(answer.iter_content(SHOWN), b"").decode("utf-8", "replace").replace("\0", "")
