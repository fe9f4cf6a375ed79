"""The platform's side: from the upload to the last commit, as a client launches it."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage

from benchmarks.usage import usage_of
from jobs import control
from jobs.models import JobExecution
from jobs.states import FINISHED, Status

JOB = "products.product.import"
LOOK_SECONDS = 0.05  # rarely enough to cost the import nothing


class Failed(Exception):
    """An execution did not end as it should; there is nothing to measure."""


@dataclass(frozen=True)
class Run:
    """What one execution took.

    `seconds` are those of the execution, from the claim to its end; `seen_seconds` those of whoever
    launched it, until they see the end. `peak_bytes` is the largest memory of the job process and
    `cpu_seconds` the time of a core that it used: both 0 on systems without /proc.
    """

    execution: JobExecution
    seconds: float
    seen_seconds: float
    peak_bytes: int
    cpu_seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """The counters of its step that are not zero."""
        counters = asdict(self.execution.steps.get().counters)
        return {name: count for name, count in counters.items() if count}

    def expect(self, **counts: int) -> "Run":
        """Itself. Raises Failed unless it has counted so, and nothing else."""
        if self.counts != {name: count for name, count in counts.items() if count}:
            raise Failed(f"{self.execution.name} counted {self.counts} instead of {counts}.")
        return self

    def output(self) -> Path:
        """The file that it made."""
        return Path(default_storage.path(self.execution.files.get(role="output").file.name))


def launch(path: Path | None = None, job: str = JOB, **parameters: Any) -> JobExecution:
    """Upload the file, if there is one, and launch the job."""
    if path:
        with path.open("rb") as file:
            parameters["file"] = str(control.upload(File(file), user=None).pk)
    return control.launch(job=job, parameters=parameters)


def run(path: Path | None = None, job: str = JOB, **parameters: Any) -> Run:
    """Launch the job and see it through to its completion; its input is removed then."""
    execution = launch(path, job, **parameters)
    began, peak, cpu = time.monotonic(), 0, 0.0

    def has_ended() -> bool:
        nonlocal peak, cpu
        now_peak, now_cpu = usage_of(execution.pid)
        peak, cpu = max(peak, now_peak), max(cpu, now_cpu)
        return execution.status in FINISHED

    wait(execution, has_ended)
    seen = time.monotonic() - began
    if execution.status != Status.COMPLETED:
        raise Failed(f"{execution.name} ended {execution.status}: {execution.error}")
    for given in execution.files.filter(role="input"):
        default_storage.delete(given.file.name)
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
