"""Google Cloud Storage, by its JSON interface and a service account."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import quote

import requests

from jobs.places.base import BLOCK_BYTES, Found, PlaceError
from jobs.places.guard import GuardedSession, judge, speaking
from jobs.places.names import folder_and_name

ENDPOINT = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


class GCS:
    """A bucket, or a folder of it. A file appears when all of it has been sent."""

    def __init__(self, options: dict[str, str], secret: dict[str, str]):
        from google.oauth2 import service_account  # noqa: PLC0415 - an extra, needed here only

        self.bucket, self.folder = options["bucket"], options["folder"]
        self._endpoint = (options["endpoint"] or ENDPOINT).rstrip("/")
        self._session = GuardedSession()
        try:
            self._account: Any = service_account.Credentials.from_service_account_info(
                json.loads(secret["service_account"]), scopes=[SCOPE]
            )
        except ValueError:
            raise PlaceError(
                f"The service account for {self} cannot be used: enter the whole JSON file that"
                " Google has made for it."
            ) from None

    def __str__(self) -> str:
        return f"The bucket {self.bucket}"

    def list(self, folder: str) -> Iterator[Found]:
        asked = {"prefix": f"{self._name(folder)}/" if self._name(folder) else "", "delimiter": "/"}
        while True:
            page = self._ask("GET", f"/storage/v1/b/{quote(self.bucket)}/o", folder, params=asked)
            for one in page.get("items", ()):
                name = folder_and_name(one["name"])[1]
                path = f"{folder}/{name}" if folder else name
                if name:
                    updated = dt.datetime.fromisoformat(one["updated"])
                    yield Found(path, int(one["size"]), updated)
            if "nextPageToken" not in page:
                return
            asked["pageToken"] = page["nextPageToken"]

    @contextmanager
    def read(self, path: str) -> Iterator[Iterator[bytes]]:
        name = quote(self._name(path), safe="")
        address = f"/storage/v1/b/{quote(self.bucket)}/o/{name}"
        with self._send("GET", address, path, params={"alt": "media"}) as answer:
            yield self._blocks(answer, path)

    def _blocks(self, answer: requests.Response, path: str) -> Iterator[bytes]:
        with speaking(self, path):
            yield from answer.iter_content(BLOCK_BYTES)

    def write(self, path: str, file: BinaryIO, size: int, token: str) -> None:  # noqa: ARG002
        asked = {"uploadType": "media", "name": self._name(path)}
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        address = f"/upload/storage/v1/b/{quote(self.bucket)}/o"
        data: Any = file if size else b""
        with self._send("POST", address, path, params=asked, data=data, headers=headers):
            pass  # answered well: all of it is there

    def test(self) -> str:
        asked = {"prefix": self.folder, "maxResults": "1000"}
        page = self._ask("GET", f"/storage/v1/b/{quote(self.bucket)}/o", "/", params=asked)
        more = "at least " if "nextPageToken" in page else ""
        return f"{self} answered: it lists {more}{len(page.get('items', ())):,} files."

    def close(self) -> None:
        self._session.close()

    def _name(self, path: str) -> str:
        return "/".join(part for part in (self.folder, path) if part)

    def _ask(self, method: str, address: str, path: str, **options: Any) -> dict[str, Any]:
        with self._send(method, address, path, **options) as answer, speaking(self, path):
            return answer.json()

    @contextmanager
    def _send(
        self, method: str, address: str, path: str, **options: Any
    ) -> Iterator[requests.Response]:
        headers = {"Authorization": f"Bearer {self._token()}", "Accept-Encoding": "identity"}
        headers |= options.pop("headers", {})
        with speaking(self, path):
            url = self._endpoint + address
            answer = self._session.request(method, url, headers=headers, stream=True, **options)
        with answer:
            with speaking(self, path):
                said = "" if answer.ok else _message(answer)
            judge(self, path, answer.status_code, said)
            yield answer

    def _token(self) -> str:
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.auth.transport.requests import Request  # noqa: PLC0415

        if not self._account.valid:
            try:
                with speaking(self):
                    self._account.refresh(Request(self._session))
            except GoogleAuthError as error:
                if isinstance(error.__cause__, requests.RequestException):
                    with speaking(self):
                        raise error.__cause__ from error
                raise PlaceError(
                    f"Google does not let the service account for {self} in: {error}"
                ) from error
        return self._account.token


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason or ""
