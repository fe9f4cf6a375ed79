"""What people ask for: upload, launch, activate, pause, resume, stop, abort, delete.

Every function checks the right of `by` (None is the platform itself), asks the table of moves and
tells the workers after the commit. They join the caller's transaction: rolled back, nothing
happened.
"""

from __future__ import annotations

from jobs.control.again import (
    continue_,
    failed_items,
    relaunch,
    retry_failed,
    take_over_steps,
)
from jobs.control.answers import Receipt, actions, receipt
from jobs.control.launching import launch, upload
from jobs.control.profiles import check_profile, delete_profile
from jobs.control.refusals import AlreadyFinished, IdempotencyMismatch, ProfileDisabled, Refused
from jobs.control.requests import abort, activate, delete, pause, resume, stop, usual_grace
from jobs.control.schedules import delete_schedule, save_schedule, switch_schedule
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
    "continue_",
    "delete",
    "delete_profile",
    "delete_schedule",
    "failed_items",
    "launch",
    "pause",
    "receipt",
    "relaunch",
    "resume",
    "retry_failed",
    "save_schedule",
    "stop",
    "switch_schedule",
    "take_over_steps",
    "upload",
    "usual_grace",
]
