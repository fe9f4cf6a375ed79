"""Job processes on this machine that belong to no execution."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from jobs.invariants.base import Violation
from jobs.models import JobExecution
from jobs.states import HELD

# A job, and whatever it starts, is marked as the likely victim of the out-of-memory killer.
JOBS_OWN = "800"
LEAVE_SECONDS = 3.0  # a job that has written its end may take this long to be gone


def still_without_execution(_: list[Violation]) -> list[Violation]:
    """Processes of jobs that nobody watches, and that stay: one that is just ending is none."""
    left = set(_without_execution())
    patience = time.monotonic() + LEAVE_SECONDS
    while left and time.monotonic() < patience:
        time.sleep(0.1)
        left &= set(_without_execution())
    return [
        Violation(None, f"Process {pid}", "of a job lives on, and no running execution knows it.")
        for pid in sorted(left)
    ]


def _without_execution() -> Iterator[int]:
    jobs = dict(_jobs_of_this_database())
    held = JobExecution.objects.filter(status__in=HELD, node=socket.gethostname())
    known = set(held.exclude(pid=None).values_list("pid", flat=True))
    return (pid for pid, session in jobs.items() if session not in known)


def _jobs_of_this_database() -> Iterator[tuple[int, int]]:
    """Process and session ids, as far as /proc may be read here."""
    ours = f"DATABASE_URL={settings.DATABASE_URL}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            if (folder / "oom_score_adj").read_text().strip() != JOBS_OWN:
                continue
            if ours in (folder / "environ").read_bytes().split(b"\0"):
                pid = int(folder.name)
                yield pid, os.getsid(pid)
