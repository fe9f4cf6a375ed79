"""Has this worker been asked to let its jobs go? Told by the main process, seen by its children.

A shutdown is final; a drain is taken back when an operator resumes the worker.
"""

from __future__ import annotations

import mmap

# Two bytes of memory shared across forks. No lock: a child may be killed at any instant, and a
# lock that it held would be held for ever.
_flags = mmap.mmap(-1, 2)
_SHUTDOWN, _DRAIN = 0, 1


def request() -> None:
    """Ask every job of this worker to let go at its next checkpoint: the worker ends."""
    _flags[_SHUTDOWN] = 1


def drain(*, wanted: bool) -> None:
    """Ask the same of every job while the worker stays, or take that back."""
    _flags[_DRAIN] = int(wanted)


def requested() -> bool:
    """Whether jobs must let go and no new ones are begun."""
    return _flags[_SHUTDOWN] == 1 or _flags[_DRAIN] == 1


def is_final() -> bool:
    """Whether the worker itself ends."""
    return _flags[_SHUTDOWN] == 1
