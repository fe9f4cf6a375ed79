"""What is remembered: profiles, executions, their steps, warnings, files, console and history."""

from jobs.models.execution import Attempt, JobExecution, NotAllowed, StatusChange
from jobs.models.files import ExecutionFile, Upload
from jobs.models.fleet import ApiToken, Worker
from jobs.models.profile import JobProfile, ProfileGrant
from jobs.models.step import ConsoleText, StepExecution, StepWarning

__all__ = [
    "ApiToken",
    "Attempt",
    "ConsoleText",
    "ExecutionFile",
    "JobExecution",
    "JobProfile",
    "NotAllowed",
    "ProfileGrant",
    "StatusChange",
    "StepExecution",
    "StepWarning",
    "Upload",
    "Worker",
]
