"""What every place offers, and how it says what went wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO, Protocol

from jobs.definition import JobError
from jobs.places.names import folder_and_name

BLOCK_BYTES = 1 << 20
CONNECT_SECONDS, READ_SECONDS = 8, 60
LISTED_AT_MOST = 100_000  # files of one folder that a pattern is compared with


class PlaceError(JobError):
    """The place refuses, and will refuse again: the sentence names place, path and what to do."""


class NotThere(PlaceError):
    """There is no such file, or none that the pattern fits."""


class Unavailable(JobError):
    """The place did not answer, or not well; worth another try later."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a place, with the path by which it is read."""

    path: str
    size: int | None = None
    modified: dt.datetime | None = None


class Place(Protocol):
    """Somewhere files lie. Paths are relative, with slashes, and have been through `clean_path`.

    Every call raises PlaceError or Unavailable and nothing else for what the place does.
    """

    def list(self, folder: str) -> Iterator[Found]:
        """The files that lie directly in the folder; an empty one is the place itself."""

    def read(self, path: str) -> AbstractContextManager[Iterator[bytes]]:
        """The content in blocks."""

    def write(self, path: str, file: BinaryIO, size: int, token: str) -> None:
        """Write all of the file, replacing what has that name.

        It appears whole or not at all, where the place can do that. `token` names temporary files:
        the same work repeated has the same token.
        """

    def test(self) -> str:
        """Reach the place and read from it if it can be asked; what was done, as a sentence."""

    def close(self) -> None:
        """Let go of connections."""


def newest(place: Place, pattern: str) -> Found:
    """The file changed last of those that fit, the last by name where the place tells no times.

    Only the name may be a pattern, not its folder. Raises NotThere.
    """
    folder, name = folder_and_name(pattern)
    fitting, seen = [], 0
    for seen, found in enumerate(place.list(folder), 1):
        if fnmatchcase(folder_and_name(found.path)[1], name):
            fitting.append(found)
        if seen >= LISTED_AT_MOST:
            raise PlaceError(
                f"{place} has more than {LISTED_AT_MOST:,} files beside {pattern!r}: name the file."
            )
    if not fitting:
        raise NotThere(
            f"{place} has no file that fits {pattern!r}; {seen:,} files were compared."
            " Look whether it has come, and correct the path."
        )
    long_ago = dt.datetime.min.replace(tzinfo=dt.UTC)
    return max(fitting, key=lambda found: (found.modified or long_ago, found.path))
