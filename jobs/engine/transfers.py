"""Files on their way from a place and to one, for the steps of jobs that fetch and send them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import IO, Any, Protocol
from uuid import UUID

from django.conf import settings
from django.template.defaultfilters import filesizeformat

from jobs.credentials import open_place
from jobs.models import ExecutionFile
from jobs.places import Found, Place, PlaceError, Unavailable, is_pattern, newest
from jobs.places.names import folder_and_name, numbered

BEAT_SECONDS = 1.0  # so often a stop is heard


class Workspace(Protocol):
    """What is needed of `jobs.engine.workspace.Workspace`."""

    @property
    def execution_id(self) -> UUID: ...

    def log(self, sentence: str) -> None: ...

    def create(self, name: str, role: str, field: str) -> AbstractContextManager[Any]: ...


def fetch(workspace: Workspace, context: Any, name: str, path: str, field: str) -> None:
    """Copy the file of a place to storage, with its SHA-256 as the checkpoint."""
    with _reached(workspace, name, f"to fetch {path}") as place:
        found = _find(workspace, place, path)
        beat = _beat(context)
        shown = folder_and_name(found.path)[1]
        with (
            workspace.create(shown, ExecutionFile.Role.INPUT, field) as copy,
            place.read(found.path) as blocks,
        ):
            for block in blocks:
                _refuse_too_large(place, found.path, copy.size + len(block))
                copy.write(block)
                beat()
        if found.size not in {None, copy.size}:
            raise Unavailable(
                f"{place}: {found.path!r} has {found.size:,} bytes, but {copy.size:,} came. It was"
                " cut off, or is being written."
            )
    digest = copy.digest.hexdigest()
    workspace.log(f"Fetched {found.path}: {copy.size:,} bytes, SHA-256 {digest}.")
    context.checkpoint({"path": found.path, "size": copy.size, "sha256": digest})


def _find(workspace: Workspace, place: Place, path: str) -> Found:
    """The file itself, or the newest that the pattern fits; said on the console."""
    if not is_pattern(path):
        return Found(path)
    found = newest(place, path)
    _refuse_too_large(place, found.path, found.size or 0)
    changed = f", of {found.modified:%Y-%m-%d %H:%M:%S} UTC" if found.modified else ""
    workspace.log(f"The newest file that fits {path} is {found.path}{changed}.")
    return found


def _refuse_too_large(place: Place, path: str, size: int) -> None:
    limit = settings.JOBS_UPLOAD_BYTES
    if size > limit:
        raise PlaceError(
            f"{place}: {path!r} has more than {filesizeformat(limit)}, the most that may come in"
            " (JOBS_UPLOAD_BYTES). Divide it, or have the limit raised."
        )


def deliver(
    workspace: Workspace, context: Any, name: str, path: str, files: list[ExecutionFile]
) -> None:
    """Write the files to the place, each once as far as checkpoints tell."""
    sent: list[str] = list(context.cursor or ())
    with _reached(workspace, name, f"to send {path or 'files'}") as place:
        for number, file in enumerate(files, 1):
            target = _target(path, file.name, number)
            if target in sent:
                continue
            with file.file.open("rb") as content:
                watched: Any = _Watched(content, _beat(context, sent))
                place.write(target, watched, file.size, f"{file.execution_id}-{number}")
            sent.append(target)
            workspace.log(f"Sent {target}: {file.size:,} bytes, SHA-256 {file.sha256}.")
            context.checkpoint(sent)


def _target(path: str, name: str, number: int) -> str:
    return f"{path}{name}" if not path or path.endswith("/") else numbered(path, number)


@contextmanager
def _reached(workspace: Workspace, name: str, why: str) -> Iterator[Place]:
    workspace.log(f"Using {name} {why}.")
    with closing(open_place(name, why=f"execution {workspace.execution_id}, {why}")) as place:
        yield place


def _beat(context: Any, cursor: Any = None) -> Callable[[], None]:
    """Called often, it makes a checkpoint once a second: there a stop takes effect."""
    next_at = time.monotonic() + BEAT_SECONDS

    def beat() -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            context.checkpoint(cursor)
            next_at = time.monotonic() + BEAT_SECONDS

    return beat


class _Watched:
    """A file that lets a stop take effect while it is read."""

    def __init__(self, file: IO[bytes], beat: Callable[[], None]):
        self._file, self._beat = file, beat

    def read(self, size: int = -1) -> bytes:
        self._beat()
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(1 << 20), b"")
