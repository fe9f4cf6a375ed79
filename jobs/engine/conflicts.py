"""Two transactions got in each other's way: neither is at fault, and one tries again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError
from psycopg import errors

CONFLICTS = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
TRIES = 5
PAUSE_SECONDS = 0.05

Result = TypeVar("Result")


def is_conflict(error: BaseException) -> bool:
    """A deadlock, a serialization failure or a lock that was not given in time."""
    return isinstance(error, CONFLICTS) or isinstance(error.__cause__, CONFLICTS)


def without_conflict(write: Callable[[], Result]) -> Result:
    """What `write`, a whole transaction, returns; up to five times, with a growing pause."""
    for number in range(1, TRIES):
        try:
            return write()
        except (DatabaseError, *CONFLICTS) as error:
            if not is_conflict(error):
                raise
        time.sleep(PAUSE_SECONDS * 2**number * random.uniform(0.5, 1))
    return write()
