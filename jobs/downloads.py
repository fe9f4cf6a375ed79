"""Files on their way to people: whole, a range, or not again; the same from pages and REST."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import PurePath

from django.core.files.base import File
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from jobs.formats.writing import Passing, member, zipped
from jobs.models import ExecutionFile

BLOCK_BYTES = 64 * 1024
RANGE = re.compile(r"^bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})$")
BYTES = "application/octet-stream"


class OutsideTheFile(Exception):
    """A range begins behind the end of a file, which is 416 in HTTP."""

    def __init__(self, file: ExecutionFile, size: int):
        self.content_range = f"bytes */{size}"
        super().__init__(f"{file.name!r} has {size:,} bytes; the range begins behind them.")


def download(headers: Mapping[str, str], file: ExecutionFile) -> HttpResponseBase:
    """The file as an attachment: whole, the range that the request's headers ask for, or 304.

    Raises Http404 where its content is gone, and OutsideTheFile.
    """
    etag = f'"{file.sha256}"'
    if matches(headers.get("If-None-Match"), etag):
        response: HttpResponseBase = HttpResponse(status=304)
    else:
        response = _content(headers, file, etag)
    response["ETag"] = etag
    response["Repr-Digest"] = f"sha-256=:{b64encode(bytes.fromhex(file.sha256)).decode()}:"
    response["Accept-Ranges"] = "bytes"
    return attached(response, file.name)


def attached(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """The response as a file to keep, which no browser opens as a page of ours."""
    disposition = content_disposition_header(as_attachment=True, filename=name)
    response["Cache-Control"] = "private, no-store"
    response["Content-Disposition"] = disposition or "attachment"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def archive_of(files: Iterable[ExecutionFile]) -> Iterator[bytes]:
    """A zip of files, as it is sent: nothing of it is kept. Files that are gone are left out."""
    target, taken = Passing(), set[str]()
    with zipped(target) as archive:
        for file in files:
            name = PurePath(file.name).name or "file"
            name = f"{file.pk}-{name}" if name in taken else name
            taken.add(name)
            with suppress(Http404), _open(file) as content, member(archive, name) as packed:
                for block in content.chunks(BLOCK_BYTES):
                    packed.write(block)
                    yield target.take()
    yield target.take()


def matches(header: str | None, etag: str) -> bool:
    """Whether a list of entity tags, as in If-Match and If-None-Match, names this one."""
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in tags or "*" in tags


def _content(headers: Mapping[str, str], file: ExecutionFile, etag: str) -> HttpResponseBase:
    stored = _open(file)
    size = stored.size
    bounds = _bounds(headers.get("Range", ""), size)
    if bounds is None or headers.get("If-Range", etag) != etag:
        return FileResponse(stored, content_type=BYTES)
    first, last = bounds
    if first >= size:
        stored.close()
        raise OutsideTheFile(file, size)
    stored.seek(first)
    blocks = _blocks(stored, last - first + 1)
    response = StreamingHttpResponse(blocks, status=206, content_type=BYTES)
    response.headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    response.headers["Content-Length"] = str(last - first + 1)
    return response


def _open(file: ExecutionFile) -> File:
    try:
        return file.file.storage.open(str(file.file.name), "rb")
    except FileNotFoundError:
        raise Http404(f"The content of {file.name!r} is no longer stored.") from None


def _bounds(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of the range that is asked for, or None when the whole file is.

    A header with several ranges, or one that makes no sense, is left aside as RFC 9110 allows.
    """
    asked = RANGE.match(header)
    if not asked or not (asked["first"] or asked["last"]):
        return None
    if not asked["first"]:  # the last so many bytes
        length = int(asked["last"])
        return (max(0, size - length) if length else size), size - 1
    first = int(asked["first"])
    last = min(int(asked["last"] or size), size - 1)
    return None if asked["last"] and int(asked["last"]) < first else (first, last)


def _blocks(file: File, left: int) -> Iterator[bytes]:
    with file:
        while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
