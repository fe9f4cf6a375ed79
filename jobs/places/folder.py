"""A folder of the server that the settings allow: JOBS_FOLDERS=name=/path,other=/path."""

from __future__ import annotations

import datetime as dt
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from jobs.places.base import BLOCK_BYTES, Found, NotThere, PlaceError, Unavailable
from jobs.places.names import folder_and_name

LINKS = {errno.ELOOP, errno.EMLINK}


def folders() -> dict[str, Path]:
    """The folders that the settings allow, by name."""
    return dict(settings.JOBS_FOLDERS)


class Folder:
    """Files below one folder. Symbolic links are not followed, wherever they lead."""

    def __init__(self, name: str):
        if name not in folders():
            there = ", ".join(folders()) or "none"
            raise PlaceError(
                f"There is no folder {name!r} of the server: JOBS_FOLDERS names {there}."
            )
        self.name, self.root = name, folders()[name]

    def __str__(self) -> str:
        return f"The folder {self.name}"

    def list(self, folder: str) -> Iterator[Found]:
        with self._speaking(folder or "."), self._opened(folder) as inside:
            for entry in os.scandir(inside):
                if entry.is_file(follow_symlinks=False):
                    known = entry.stat(follow_symlinks=False)
                    modified = dt.datetime.fromtimestamp(known.st_mtime, dt.UTC)
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    yield Found(path, known.st_size, modified)

    @contextmanager
    def read(self, path: str) -> Iterator[Iterator[bytes]]:
        folder, name = folder_and_name(path)
        # Without waiting: a pipe would block the opening for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._speaking(path), self._opened(folder) as inside:
            opened = os.open(name or ".", flags, dir_fd=inside)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise PlaceError(f"{self}: {path!r} is not a plain file.")
            yield self._blocks(file, path)

    def _blocks(self, file: BinaryIO, path: str) -> Iterator[bytes]:
        with self._speaking(path):
            while block := file.read(BLOCK_BYTES):
                yield block

    def write(self, path: str, file: BinaryIO, size: int, token: str) -> None:  # noqa: ARG002
        folder, name = folder_and_name(path)
        with self._speaking(path), self._opened(folder) as inside:
            part = f".{token}.part"
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=inside)  # of an attempt that was cut off
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(part, flags, 0o640, dir_fd=inside), "wb") as target:
                while block := file.read(BLOCK_BYTES):
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())
            os.rename(part, name, src_dir_fd=inside, dst_dir_fd=inside)

    def test(self) -> str:
        count = sum(1 for _ in self.list(""))
        return f"{self} can be read: {count:,} files lie in it."

    def close(self) -> None:
        """There is nothing to let go of."""

    @contextmanager
    def _opened(self, folder: str) -> Iterator[int]:
        """The folder as a descriptor, reached part by part without a single link."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        inside = os.open(self.root.resolve(), flags)
        try:
            for part in folder.split("/") if folder else ():
                deeper = os.open(part, flags | os.O_NOFOLLOW, dir_fd=inside)
                os.close(inside)
                inside = deeper
            yield inside
        finally:
            os.close(inside)

    @contextmanager
    def _speaking(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotThere(
                f"{self} has no {path!r}. Correct the path, or wait for the file."
            ) from error
        except PermissionError as error:
            raise PlaceError(
                f"{self}: the worker's account may not open {path!r}. Give it the right."
            ) from error
        except (NotADirectoryError, IsADirectoryError) as error:
            raise PlaceError(f"{self}: {path!r} leads over a link, or is a folder.") from error
        except OSError as error:
            if error.errno in LINKS:
                raise PlaceError(
                    f"{self}: {path!r} is a symbolic link, which is not followed."
                ) from error
            raise Unavailable(f"{self} failed at {path!r}: {error.strerror}.") from error
