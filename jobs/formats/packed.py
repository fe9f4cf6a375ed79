"""Packed files: gzip, zip archives, and streams that are read once but needed twice.

Nothing here believes what a file says of its own size, and no name in it is used as a path.
"""

from __future__ import annotations

import gzip
import io
import zlib
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from django.conf import settings

from jobs.definition import JobError

ENTRIES_LIMIT = 2000
DIRECTORY_LIMIT = 1 << 21  # bytes of a zip file's list of entries
RATIO_LIMIT = 100
SMALL = 10 << 20  # bytes; a file that unpacks to no more may be packed as tightly as it likes
BLOCK = 1 << 18
ENCRYPTED = 1  # a bit of an entry's flags
DAMAGE = (OSError, EOFError, BadZipFile, zlib.error, ValueError, NotImplementedError)


class Spool(io.RawIOBase):
    """A stream as a file that can be sought: what was read of it stands in a temporary file.

    It is read no further than somebody asks, and raises JobError beyond `limit` bytes.
    """

    def __init__(self, stream: Any, limit: int):
        super().__init__()
        self._stream, self._limit = stream, limit
        self._kept = TemporaryFile(prefix="millrace-", buffering=0)  # noqa: SIM115 - closed below
        self._size, self._at, self._is_whole = 0, 0, False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            self._unpack_to(self._limit + 1)
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._unpack_to(self._at + len(buffer))
        self._kept.seek(self._at)
        count = self._kept.readinto(buffer)
        self._at += count
        return count

    def close(self) -> None:
        self._kept.close()
        self._stream.close()
        super().close()

    def _unpack_to(self, offset: int) -> None:
        if self._size >= offset or self._is_whole:
            return
        self._kept.seek(self._size)
        while self._size < offset and (block := self._stream.read(BLOCK)):
            self._size += len(block)
            if self._size > self._limit:
                raise too_large(self._limit)
            self._kept.write(block)
        self._is_whole = self._size < offset


class Unpacking:
    """A packed stream that says in a sentence where it is damaged."""

    def __init__(self, stream: Any):
        self._stream, self._size = stream, 0

    def read(self, size: int) -> bytes:
        try:
            block = self._stream.read(size)
        except DAMAGE as error:
            raise JobError(
                f"The file is damaged: it cannot be unpacked behind byte {self._size:,} of its "
                f"content ({error}). Send it again."
            ) from None
        self._size += len(block)
        return block

    def close(self) -> None:
        self._stream.close()


def spooled(stream: Any, limit: int) -> BinaryIO:
    """A stream as a seekable file with buffered lines."""
    return io.BufferedReader(Spool(stream, limit), BLOCK)


def unpacked_limit(packed_size: int) -> int:
    """To how many bytes a packed file of this size may unpack."""
    return min(site_limit(), max(SMALL, RATIO_LIMIT * packed_size))


def site_limit() -> int:
    """To how many bytes any file may unpack here."""
    return int(settings.JOBS_UNPACKED_BYTES)


def too_large(limit: int) -> JobError:
    if limit >= site_limit():
        return JobError(
            f"The file unpacks to more than {limit:,} bytes, which is the limit of this site "
            "(JOBS_UNPACKED_BYTES). Divide it into several files."
        )
    return JobError(
        f"The file unpacks to more than {limit:,} bytes, over {RATIO_LIMIT} times its size; such "
        "files are refused. Send it unpacked."
    )


def ungzipped(file: BinaryIO, size: int) -> BinaryIO:
    """The content of a gzip file."""
    file.seek(0)
    return spooled(Unpacking(gzip.GzipFile(fileobj=file, mode="rb")), unpacked_limit(size))


def open_archive(file: BinaryIO) -> ZipFile:
    """A zip archive whose list of entries has been checked before anything is unpacked."""
    try:
        archive = ZipFile(_Guarded(file))
    except DAMAGE as error:
        raise JobError(f"The zip file is damaged ({error}). Send it again.") from None
    entries = archive.infolist()
    if len(entries) > ENTRIES_LIMIT:
        raise _too_many_entries()
    for entry in entries:
        _check_entry(entry)
    if sum(entry.file_size for entry in entries) > site_limit():
        raise too_large(site_limit())
    return archive


def open_entry(archive: ZipFile, entry: ZipInfo) -> Unpacking:
    """The content of an entry, as a stream that can be read once."""
    try:
        return Unpacking(archive.open(entry))
    except DAMAGE as error:
        raise JobError(
            f"The zip file is damaged: {entry.filename[:80]!r} cannot be opened ({error}). "
            "Send it again."
        ) from None


def data_entry(archive: ZipFile) -> ZipInfo:
    """The one file in an archive; raises JobError for none and for several."""
    found = [entry for entry in archive.infolist() if not _is_hidden(entry)]
    if not found:
        raise JobError("The zip file is empty: it must hold exactly one file of data.")
    if len(found) > 1:
        names = ", ".join(repr(entry.filename[:80]) for entry in found[:5])
        raise JobError(
            f"The zip file holds {len(found)} files ({names}{', …' * (len(found) > 5)}); it must "
            "hold exactly one file of data. Send them one by one."
        )
    return found[0]


class _Guarded:
    """A file that refuses to read a zip file's list of entries at once when it is huge."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        read = self._file.read(DIRECTORY_LIMIT + 1 if size < 0 else min(size, DIRECTORY_LIMIT + 1))
        if len(read) > DIRECTORY_LIMIT:
            raise _too_many_entries()
        return read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _too_many_entries() -> JobError:
    return JobError(
        f"The zip file has more than {ENTRIES_LIMIT:,} entries; such files are refused."
    )


def _check_entry(entry: ZipInfo) -> None:
    name = repr(entry.filename[:80])
    if entry.flag_bits & ENCRYPTED:
        raise JobError(f"{name} in the zip file is encrypted. Send it without a password.")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise JobError(f"{name} in the zip file is packed in a rare way. Use the ordinary deflate.")
    if entry.file_size > SMALL and entry.file_size > RATIO_LIMIT * entry.compress_size:
        raise JobError(
            f"{name} in the zip file unpacks to {entry.file_size:,} bytes, over {RATIO_LIMIT} "
            "times its size; such files are refused. Send it unpacked."
        )


def _is_hidden(entry: ZipInfo) -> bool:
    """Whether an entry is a folder, or what file managers leave behind."""
    parts = entry.filename.split("/")
    return entry.is_dir() or parts[0] == "__MACOSX" or parts[-1].startswith(".")
