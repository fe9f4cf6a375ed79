"""What the command line names: people and executions."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import User

from jobs.models import JobExecution
from jobs.permissions import visible_to


class UsageError(Exception):
    """What the command line names does not exist or cannot be used; the message says what."""


def find_user(name: str | None) -> User | None:
    """The person on whose behalf it is asked; without a name it is the platform itself."""
    if name is None:
        return None
    found = User.objects.filter(username=name).first()
    if found is None:
        raise UsageError(f"There is no user {name!r}.")
    if not found.is_active:
        raise UsageError(f"The user {name!r} is disabled.")
    return found


def find_execution(key: str, user: User | None) -> JobExecution:
    """The execution of this id that the user may see."""
    try:
        found = visible_to(user).filter(pk=uuid.UUID(key)).first()
    except ValueError:
        raise UsageError(f"{key!r} is not the id of an execution, which is a UUID.") from None
    if found is None:
        raise UsageError(f"There is no execution {key}.")
    return found
