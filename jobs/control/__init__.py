"""What people ask for: upload, launch, activate, pause, resume, stop, abort, delete; of many at
once, and of workers, queues and the whole site.

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
    run_for_real,
    take_over_steps,
)
from jobs.control.answers import AGAIN, Receipt, actions, moves, receipt
from jobs.control.credentials import (
    Reached,
    check_places,
    delete_credential,
    places,
    save_credential,
    try_connection,
)
from jobs.control.launching import launch
from jobs.control.operations import (
    begin_maintenance,
    drain,
    end_maintenance,
    maintenance,
    pause_queue,
    resume_queue,
    undrain,
)
from jobs.control.profiles import check_profile, delete_profile
from jobs.control.refusals import (
    AlreadyFinished,
    IdempotencyMismatch,
    NothingThere,
    Overlapping,
    ProfileDisabled,
    Refused,
    UnderMaintenance,
)
from jobs.control.requests import abort, activate, delete, pause, resume, stop, usual_grace
from jobs.control.schedules import (
    check_schedule,
    delete_schedule,
    save_schedule,
    switch_schedule,
)
from jobs.control.scopes import Item, Plan, Result, Scope, foresee, plan, reach, stop_all
from jobs.control.steps import stop_step
from jobs.control.undo import UndoPreview, cannot_undo, undo, undo_preview
from jobs.control.uploads import FileRefused, FileTooLarge, upload
from jobs.definition import InvalidParameters
from jobs.models import NotAllowed
from jobs.permissions import Denied

__all__ = [
    "AGAIN",
    "AlreadyFinished",
    "Denied",
    "FileRefused",
    "FileTooLarge",
    "IdempotencyMismatch",
    "InvalidParameters",
    "Item",
    "NotAllowed",
    "NothingThere",
    "Overlapping",
    "Plan",
    "ProfileDisabled",
    "Reached",
    "Receipt",
    "Refused",
    "Result",
    "Scope",
    "UnderMaintenance",
    "UndoPreview",
    "abort",
    "actions",
    "activate",
    "begin_maintenance",
    "cannot_undo",
    "check_places",
    "check_profile",
    "check_schedule",
    "continue_",
    "delete",
    "delete_credential",
    "delete_profile",
    "delete_schedule",
    "drain",
    "end_maintenance",
    "failed_items",
    "foresee",
    "launch",
    "maintenance",
    "moves",
    "pause",
    "pause_queue",
    "places",
    "plan",
    "reach",
    "receipt",
    "relaunch",
    "resume",
    "resume_queue",
    "retry_failed",
    "run_for_real",
    "save_credential",
    "save_schedule",
    "stop",
    "stop_all",
    "stop_step",
    "switch_schedule",
    "take_over_steps",
    "try_connection",
    "undo",
    "undo_preview",
    "undrain",
    "upload",
    "usual_grace",
]
