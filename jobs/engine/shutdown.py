"""Has this worker been asked to shut down? Told by the main process, seen by all its children."""

from __future__ import annotations

import mmap

# One byte of memory shared across forks. No lock: a child may be killed at any instant, and a
# lock that it held would be held for ever.
_flag = mmap.mmap(-1, 1)


def request() -> None:
    """Ask every job of this worker to let go at its next checkpoint."""
    _flag[0] = 1


def requested() -> bool:
    return _flag[0] == 1
