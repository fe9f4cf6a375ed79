"""Millrace: background jobs for Django teams. What developers import is here."""

from jobs.definition import (
    ChunkStep,
    Counters,
    FunctionStep,
    ItemWarning,
    Job,
    JobError,
    Skip,
    job,
    profile,
)

__version__ = "0.1.0"

__all__ = [
    "ChunkStep",
    "Counters",
    "FunctionStep",
    "ItemWarning",
    "Job",
    "JobError",
    "Skip",
    "job",
    "profile",
]
