"""What people ask for: upload, launch, activate, pause, resume, stop, abort, delete.

Every function checks the right of `by` (None is the platform itself), asks the table of moves and
tells the workers after the commit. They join the caller's transaction: rolled back, nothing
happened.
"""

from __future__ import annotations

from jobs.control.answers import Receipt, actions, receipt
from jobs.control.launching import launch, upload
from jobs.control.profiles import check_profile, delete_profile
from jobs.control.refusals import AlreadyFinished, IdempotencyMismatch, ProfileDisabled, Refused
from jobs.control.requests import abort, activate, delete, pause, resume, stop, usual_grace
from jobs.definition import InvalidParameters
from jobs.models import NotAllowed
from jobs.permissions import Denied

__all__ = [
    "AlreadyFinished",
    "Denied",
    "IdempotencyMismatch",
    "InvalidParameters",
    "NotAllowed",
    "ProfileDisabled",
    "Receipt",
    "Refused",
    "abort",
    "actions",
    "activate",
    "check_profile",
    "delete",
    "delete_profile",
    "launch",
    "pause",
    "receipt",
    "resume",
    "stop",
    "upload",
    "usual_grace",
]
