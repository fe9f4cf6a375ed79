"""Millrace: background jobs for Django teams. What developers import is here."""

from jobs.definition import (
    ChunkStep,
    Counters,
    FunctionStep,
    ItemWarning,
    Job,
    JobError,
    Partition,
    Skip,
    Throttle,
    job,
    profile,
    schedule,
)
from jobs.places import PathField, PlaceField, Unavailable
from jobs.recipes import converters as convert
from jobs.recipes.chunked import ChunkedJob
from jobs.recipes.querysets import by_pk
from jobs.recipes.resources import resource
from jobs.resources import Column, Resource

__version__ = "0.1.0"

__all__ = [
    "ChunkStep",
    "ChunkedJob",
    "Column",
    "Counters",
    "FunctionStep",
    "ItemWarning",
    "Job",
    "JobError",
    "Partition",
    "PathField",
    "PlaceField",
    "Resource",
    "Skip",
    "Throttle",
    "Unavailable",
    "by_pk",
    "convert",
    "job",
    "profile",
    "resource",
    "schedule",
]
