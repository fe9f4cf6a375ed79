"""Amazon S3, and what speaks as it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, BinaryIO

import requests

from jobs.places.base import BLOCK_BYTES, CONNECT_SECONDS, READ_SECONDS, Found, Unavailable
from jobs.places.guard import GuardedSession, judge, speaking
from jobs.places.names import folder_and_name

PART_BYTES = 64 << 20  # S3 takes at most 10,000 parts


class S3:
    """A bucket, or a folder of it. A file appears when all of it has been sent."""

    def __init__(self, options: dict[str, str], secret: dict[str, str]):
        import boto3  # noqa: PLC0415 - an extra, needed here only
        from boto3.s3.transfer import TransferConfig  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        self.bucket, self.folder = options["bucket"], options["folder"]
        self._session = GuardedSession()
        self._transfer = TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
        )
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=options["endpoint"] or None,
            region_name=options["region"] or "us-east-1",
            aws_access_key_id=options["access_key"],
            aws_secret_access_key=secret["secret_key"],
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": 1},  # the job tries again
                request_checksum_calculation="when_required",  # which other servers do not know
                s3={"addressing_style": "path" if options["endpoint"] else "auto"},
            ),
        )
        self._client.meta.events.register("before-send.s3", self._send)

    def __str__(self) -> str:
        return f"The bucket {self.bucket}"

    def list(self, folder: str) -> Iterator[Found]:
        prefix = self._key(folder) + "/" if self._key(folder) else ""
        with self._speaking(folder):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/"):
                for one in page.get("Contents", ()):
                    name = folder_and_name(one["Key"])[1]
                    path = f"{folder}/{name}" if folder else name
                    if name:
                        yield Found(path, one["Size"], one["LastModified"])

    @contextmanager
    def read(self, path: str) -> Iterator[Iterator[bytes]]:
        with self._speaking(path):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._key(path))
        with closing(answer["Body"]) as body:
            yield self._blocks(body, path)

    def _blocks(self, body: Any, path: str) -> Iterator[bytes]:
        with self._speaking(path):
            yield from body.iter_chunks(BLOCK_BYTES)

    def write(self, path: str, file: BinaryIO, size: int, token: str) -> None:  # noqa: ARG002
        with self._speaking(path):
            key = self._key(path)
            self._client.upload_fileobj(_Kept(file), self.bucket, key, Config=self._transfer)

    def test(self) -> str:
        with self._speaking(self.folder or "/"):
            found = self._client.list_objects_v2(
                Bucket=self.bucket, Prefix=self.folder, MaxKeys=1000
            )
        more = "at least " if found.get("IsTruncated") else ""
        return f"{self} answered: it lists {more}{found.get('KeyCount', 0):,} files."

    def close(self) -> None:
        self._session.close()

    def _key(self, path: str) -> str:
        return "/".join(part for part in (self.folder, path) if part)

    def _send(self, request: Any, **_: Any) -> Any:
        """Instead of botocore's own sending: the same request by the guarded session."""
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415

        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = request.method, request.url, request.body
        prepared.headers = requests.structures.CaseInsensitiveDict(
            {name: _text(value) for name, value in request.headers.items()}
        )
        prepared.headers.setdefault("Accept-Encoding", "identity")
        answer = self._session.send(prepared, stream=True)
        return AWSResponse(request.url, answer.status_code, answer.headers, answer.raw)

    @contextmanager
    def _speaking(self, path: str) -> Iterator[None]:
        from boto3.exceptions import S3UploadFailedError  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        with speaking(self, path):
            try:
                yield
            except (ClientError, S3UploadFailedError) as error:
                cause: Any = error if isinstance(error, ClientError) else error.__context__
                told = getattr(cause, "response", {})
                status = told.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
                judge(self, path or "/", status, told.get("Error", {}).get("Message") or str(error))
                raise Unavailable(f"{self} failed at {path!r}: {error}") from error
            except BotoCoreError as error:
                raise Unavailable(f"{self} failed at {path!r}: {error}") from error


class _Kept:
    """A file that boto3 may not close."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        with suppress(ValueError):
            self._file.seek(0)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
