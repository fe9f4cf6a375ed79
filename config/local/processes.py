"""Processes that the launcher starts, watches and ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")


def guarded(
    command: Sequence[str | Path],
    *,
    identity: str = "same",
    at_our_death: signal.Signals = signal.SIGKILL,
) -> list[str]:
    """Return the command so wrapped that it ends when this process ends."""
    guard = [sys.executable, "-S", str(GUARD), str(os.getpid()), str(int(at_our_death)), identity]
    return [*guard, *map(str, command)]


class LaunchError(Exception):
    """Something did not start or did not stay up; the message is a sentence for the person."""


class Process:
    """A long-running process: its command, its log, and the signals that end it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        variables: dict[str, str] | None = None,
        identity: str = "same",
        stop_signal: signal.Signals = signal.SIGTERM,
        at_our_death: signal.Signals = signal.SIGKILL,
        kill_signal: signal.Signals = signal.SIGKILL,
        files: Sequence[int] = (),
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.command = guarded(command, identity=identity, at_our_death=at_our_death)
        self.variables = variables or {}
        self.stop_signal = stop_signal
        self.kill_signal = kill_signal
        self.files = files
        self.folder = folder
        self.started_at = 0.0
        self.quick_ends = 0
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the present start."""
        return self._popen.pid if self._popen else 0

    def start(self) -> None:
        """Start it in a session of its own, so that a Ctrl-C reaches the launcher alone."""
        self.started_at = time.monotonic()
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.variables,
                start_new_session=True,
                pass_fds=self.files,
                cwd=self.folder,
            )

    def exit_code(self) -> int | None:
        """Return None while it runs."""
        return self._popen.poll() if self._popen else 0

    def stop(self) -> None:
        """Ask it to end."""
        if self.exit_code() is None:
            os.kill(self.pid, self.stop_signal)

    def kill(self) -> None:
        """End it at once, with its children."""
        if self.exit_code() is None:
            os.killpg(self.pid, self.kill_signal)

    def wait_until(self, ready: Callable[[], bool], seconds: float = 30) -> None:
        """Return when it is ready; raise LaunchError when it ended or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_code() is not None:
                raise LaunchError(f"{self.name} ended while it started.\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"{self.name} was not ready after {seconds:.0f} seconds.\n{self.last_words()}"
                )
            time.sleep(0.03)

    def last_words(self) -> str:
        """Return the end of its log and where the rest is."""
        lines = self.log.read_text(errors="replace").splitlines()[-12:]
        return "\n".join([f"The end of its log, {self.log}:", *("  " + line for line in lines)])


def stop_all(processes: Sequence[Process], seconds: float) -> None:
    """Ask all to end together; after the seconds kill those that did not."""
    for process in processes:
        process.stop()
    deadline = time.monotonic() + seconds
    while any(process.exit_code() is None for process in processes):
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
            deadline += 1
        time.sleep(0.02)
