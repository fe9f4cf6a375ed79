"""Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from jobs.places.base import CONNECT_SECONDS, READ_SECONDS, Found, Unavailable
from jobs.places.guard import GuardedSession, judge, speaking
from jobs.places.names import folder_and_name


class Azure:
    """A container, or a folder of it. A file appears when all of it has been sent."""

    def __init__(self, options: dict[str, str], secret: dict[str, str]):
        from azure.core.pipeline.transport import (  # noqa: PLC0415 - an extra, needed here only
            RequestsTransport,
        )
        from azure.storage.blob import ContainerClient  # noqa: PLC0415

        self.container, self.folder = options["container"], options["folder"]
        account = options["account"]
        self._session = GuardedSession()
        key: Any = {"account_name": account, "account_key": secret.get("account_key")}
        self._client: Any = ContainerClient(
            options["endpoint"] or f"https://{account}.blob.core.windows.net",
            self.container,
            credential=secret.get("sas_token") or key,
            transport=RequestsTransport(session=self._session, session_owner=False),
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retry_total=0,  # the job tries again
        )

    def __str__(self) -> str:
        return f"The container {self.container}"

    def list(self, folder: str) -> Iterator[Found]:
        prefix = f"{self._name(folder)}/" if self._name(folder) else ""
        with self._speaking(folder):
            for one in self._client.walk_blobs(prefix, delimiter="/"):
                name = folder_and_name(one.name)[1]
                path = f"{folder}/{name}" if folder else name
                if name and hasattr(one, "size"):  # and no folder
                    yield Found(path, one.size, one.last_modified)

    @contextmanager
    def read(self, path: str) -> Iterator[Iterator[bytes]]:
        with self._speaking(path):
            blob = self._client.download_blob(self._name(path), max_concurrency=1)
        yield self._blocks(blob, path)

    def _blocks(self, blob: Any, path: str) -> Iterator[bytes]:
        with self._speaking(path):
            yield from blob.chunks()

    def write(self, path: str, file: BinaryIO, size: int, token: str) -> None:  # noqa: ARG002
        with self._speaking(path):
            self._client.upload_blob(self._name(path), file, length=size, overwrite=True)

    def test(self) -> str:
        with self._speaking("/"):
            pages = self._client.list_blobs(self.folder or None, results_per_page=1000).by_page()
            count = sum(1 for _ in next(iter(pages), ()))
        more = "at least " if count >= 1000 else ""
        return f"{self} answered: it lists {more}{count:,} files."

    def close(self) -> None:
        self._session.close()

    def _name(self, path: str) -> str:
        return "/".join(part for part in (self.folder, path) if part)

    @contextmanager
    def _speaking(self, path: str) -> Iterator[None]:
        from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415

        with speaking(self, path):
            try:
                yield
            except HttpResponseError as error:
                judge(self, path, error.status_code or 500, error.reason or "")
                raise Unavailable(f"{self} failed at {path!r}: {error.reason}") from None
            except AzureError as error:
                cause = error.inner_exception
                if isinstance(cause, OSError):  # requests' exceptions are of that kind
                    raise cause from None
                raise Unavailable(f"{self} failed at {path!r}: {type(error).__name__}.") from None
