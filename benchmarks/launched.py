"""The other side: the whole platform, from the upload to the last commit."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.core.files import File

from jobs import control
from jobs.models import JobExecution
from jobs.states import FINISHED, Status

JOB = "products.product.import"
LOOK_SECONDS = 0.05  # rarely enough to cost the import nothing


class Failed(Exception):
    """An execution did not end as it should; there is nothing to measure."""


@dataclass(frozen=True)
class Run:
    """What one import took.

    `seconds` are those of the execution, from the claim to its end; `seen_seconds` those of whoever
    launched it, until they see the end. `peak_bytes` is the largest memory of the job process and
    `cpu_seconds` the time of a core that it used: both 0 on systems without /proc.
    """

    execution: JobExecution
    seconds: float
    seen_seconds: float
    peak_bytes: int
    cpu_seconds: float


def launch(path: Path) -> JobExecution:
    """Upload the file and launch its import."""
    with path.open("rb") as file:
        upload = control.upload(File(file), user=None)
    return control.launch(job=JOB, parameters={"file": str(upload.pk)})


def run(path: Path) -> Run:
    """Import the file, all of it."""
    execution = launch(path)
    began, peak, cpu = time.monotonic(), 0, 0.0

    def has_ended() -> bool:
        nonlocal peak, cpu
        now_peak, now_cpu = usage_of(execution.pid)
        peak, cpu = max(peak, now_peak), max(cpu, now_cpu)
        return execution.status in FINISHED

    wait(execution, has_ended)
    seen = time.monotonic() - began
    if execution.status != Status.COMPLETED or execution.warnings_count:
        raise Failed(
            f"The import ended {execution.status} with {execution.warnings_count} warnings: "
            f"{execution.error}"
        )
    took = (execution.finished_at - execution.started_at).total_seconds()
    return Run(execution, took, seen, peak, cpu)


def wait(execution: JobExecution, fact: Callable[[], bool], seconds: float = 900) -> None:
    """Look at the execution until the fact is true."""
    deadline = time.monotonic() + seconds
    while True:
        execution.refresh_from_db(fields=["status", "pid", "attempt", "checkpoints"])
        if fact():
            execution.refresh_from_db()
            return
        if time.monotonic() > deadline:
            raise Failed(f"After {seconds} s {execution.name} is still {execution.status}.")
        time.sleep(LOOK_SECONDS)


def usage_of(pid: int | None) -> tuple[int, float]:
    """The most memory that the process has had, in bytes, and its CPU seconds; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0, 0.0
    lines = status.splitlines()
    kilobytes = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), "0")
    return int(kilobytes) * 1024, sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
