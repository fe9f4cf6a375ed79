"""What the launcher's commands share: options, variables, the watch over processes, the end."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from config.local.processes import LaunchError, Process
from config.local.state import State, default_folder

QUICK_SECONDS = 10
QUICK_ENDS = 3


def add_data_folder(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the data folder."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=default_folder(),
        help="where data, logs and secrets are kept (default: %(default)s)",
    )


def on_a_folder_of_its_own(folder: Path, run: Callable[[State], int]) -> int:
    """Run on the data folder unless another start does; Ctrl-C, SIGTERM and SIGHUP end it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)
    state = State(folder)
    try:
        with state.held() as ours:
            if not ours:
                return _say_who_runs(state)
            return run(state)
    except KeyboardInterrupt:
        return 0
    except LaunchError as error:
        print(error, file=sys.stderr)
        return 1


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say_who_runs(state: State) -> int:
    url = state.read().get("MILLRACE_URL")
    if url:
        print(f"Millrace is running at {url} (data in {state.folder}).")
        return 0
    print(
        f"Another start is under way on {state.folder}, or `manage.py services` runs there. "
        "Wait for it, end it, or name another folder with --data-dir.",
        file=sys.stderr,
    )
    return 1


def site_variables(state: State) -> dict[str, str]:
    """Return what the settings need for a site of this machine only, and set it here."""
    variables = {
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": os.environ["REDIS_URL"],
        "DJANGO_SECRET_KEY": state.secret("django"),
        "JOBS_CREDENTIAL_KEYS": state.key("credentials"),
        "DJANGO_DEBUG": "0",
        "DJANGO_HTTPS": "0",
        "MILLRACE_FILES": str(state.files),
        "MILLRACE_STATIC": str(state.static),
    }
    if apps := os.environ.get("MILLRACE_APPS"):
        variables["MILLRACE_APPS"] = apps  # other commands must know the same jobs
    for name, value in variables.items():
        variables[name] = os.environ.setdefault(name, value)
    return variables


def watch(processes: Sequence[Process], until: Callable[[], bool] = lambda: False) -> None:
    """Start again what ends by itself, until the condition holds or somebody ends the launcher."""
    while not until():
        for process in processes:
            code = process.exit_code()
            if code is not None:
                _start_again(process, code)
        time.sleep(0.2)


def _start_again(process: Process, code: int) -> None:
    quick = time.monotonic() - process.started_at < QUICK_SECONDS
    process.quick_ends = process.quick_ends + 1 if quick else 1
    how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    if process.quick_ends >= QUICK_ENDS:
        raise LaunchError(f"{process.name} {how}, several times.\n{process.last_words()}")
    print(f"{process.name} {how}; it is started again. Its log: {process.log}", file=sys.stderr)
    process.start()
