"""The job process: a child in a session of its own, whose death harms nobody."""

from __future__ import annotations

import ctypes
import gc
import io
import logging
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from jobs.dispatch import forget_broker
from jobs.engine.database import forget_connections, name_connections
from jobs.models import JobExecution

PR_SET_PDEATHSIG = 1
# A chunk is thousands of new objects, none of them garbage: look less often than every 700.
OBJECTS_BETWEEN_COLLECTIONS = 10_000
LIKELY_VICTIM = "800"  # of the kernel's out-of-memory killer, before the worker itself
# Loggers that speak of the worker, not of the job.
WORKER_LOGGERS = ("celery", "kombu", "amqp", "redis", "axes")

# Exit statuses of a job process. It has written its outcome itself when it is 0.
DONE, DATABASE_LOST, CRASHED = 0, 76, 70


@dataclass(frozen=True)
class JobProcess:
    """A forked job: its process id and the reading ends of its two streams."""

    pid: int
    console: int
    debug: int

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the job and everything it started in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def exit_status(self) -> int | None:
        """How it ended (negative: by that signal), or None while it lives."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None


def fork_job(execution: JobExecution, work: Callable[[], int]) -> JobProcess:
    """Fork; the child does `work` and exits with its status, the parent gets the process.

    Call it from the main thread: the kernel ends the child when the *thread* that forked ends.
    """
    console, console_in = os.pipe()
    debug, debug_in = os.pipe()
    sys.stdout.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = CRASHED
        try:
            _become_job(execution, parent, console_in, debug_in)
            status = work()
        except BaseException:
            with suppress(Exception):
                logging.getLogger(__name__).critical("The job process crashed.", exc_info=True)
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    os.close(console_in)
    os.close(debug_in)
    os.set_blocking(console, False)
    os.set_blocking(debug, False)
    return JobProcess(pid, console, debug)


def _become_job(execution: JobExecution, parent: int, console: int, debug: int) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(CRASHED)
    # SIGTERM ends the process at once, in C code too; PostgreSQL rolls back what was open.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(LIKELY_VICTIM)
    if settings.JOBS_MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (int(settings.JOBS_MEMORY_BYTES),) * 2)
    random.seed()
    gc.freeze()  # the worker's own objects are never walked again, so their pages stay shared
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    _speak_through(console, debug)
    forget_connections()
    forget_broker()
    name_connections(execution)


def _speak_through(console: int, debug: int) -> None:
    """Standard output becomes the console, standard error and log records the debug stream."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (console, 1), (debug, 2)):
        os.dup2(source, target)
        os.close(source)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), "utf-8", "replace", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), "utf-8", "replace", write_through=True)
    to_debug = logging.StreamHandler(sys.stderr)
    to_debug.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    to_console = logging.StreamHandler(sys.stdout)
    to_console.setLevel(logging.INFO)
    to_console.setFormatter(_WithoutTraceback("%(asctime)s %(message)s", "%H:%M:%S"))
    to_console.addFilter(lambda record: record.name.split(".")[0] not in WORKER_LOGGERS)
    logging.root.handlers[:] = [to_debug, to_console]
    logging.root.setLevel(logging.INFO)


class _WithoutTraceback(logging.Formatter):
    """People read sentences; the traceback is in the debug stream."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record, self.datefmt)
        return self.formatMessage(record)
