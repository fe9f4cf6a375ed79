"""What is remembered: profiles, executions, their steps, warnings, files, console and history."""

from jobs.models.checks import InvariantCheck
from jobs.models.credential import Credential
from jobs.models.execution import Attempt, JobExecution, NotAllowed, StatusChange, Takes
from jobs.models.files import ExecutionFile, Upload, discard_files, orphans
from jobs.models.fleet import ApiToken, Maintenance, PausedQueue, Worker
from jobs.models.limits import Slot, StartRate
from jobs.models.notification import Notification, OutboxMessage
from jobs.models.profile import JobProfile, ProfileGrant
from jobs.models.rows import RejectedRow, RowChange
from jobs.models.schedule import Firing, Schedule
from jobs.models.step import ConsoleText, StepExecution, StepWarning

__all__ = [
    "ApiToken",
    "Attempt",
    "ConsoleText",
    "Credential",
    "ExecutionFile",
    "Firing",
    "InvariantCheck",
    "JobExecution",
    "JobProfile",
    "Maintenance",
    "NotAllowed",
    "Notification",
    "OutboxMessage",
    "PausedQueue",
    "ProfileGrant",
    "RejectedRow",
    "RowChange",
    "Schedule",
    "Slot",
    "StartRate",
    "StatusChange",
    "StepExecution",
    "StepWarning",
    "Takes",
    "Upload",
    "Worker",
    "discard_files",
    "orphans",
]
