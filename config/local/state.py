"""The launcher's data folder: who runs on it, and the variables that other commands need."""

import base64
import contextlib
import fcntl
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from config.local.environment import ROOT
from config.local.processes import LaunchError

# Commands of Django that need no server; they run with the fallbacks of development.
WITHOUT_SERVERS = {
    "help",
    "--help",
    "-h",
    "version",
    "--version",
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "makemessages",
    "makemigrations",
    "startapp",
}


def default_folder() -> Path:
    """Return the data folder unless `--data-dir` names another."""
    return Path(os.environ.get("MILLRACE_DATA_DIR") or ROOT / ".millrace").resolve()


class State:
    """A data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self.files = self.folder / "files"
        self.static = self.folder / "static"
        self.env = self.folder / "env"

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the folder for as long as the block runs; yields False if another start does."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.logs, self.files, self.static):
                folder.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LaunchError(f"{self.folder} cannot be used for data: {error}.") from None
        try:
            yield self._take(lock)
        finally:
            os.close(lock)

    def _take(self, lock: int) -> bool:
        for attempt in range(5):
            # A command that only looks holds the lock for a moment (see is_live).
            time.sleep(attempt * 0.03)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.env.unlink(missing_ok=True)  # it tells of the start before
                return True
        return False

    def is_live(self) -> bool:
        """Tell whether a launcher runs on this folder."""
        try:
            lock = os.open(self.folder / "lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def write(self, variables: dict[str, str]) -> None:
        """Write the variables for other commands, readable by the owner alone."""
        new = self.env.with_suffix(".new")
        with _private(new) as file:
            file.writelines(f"{name}={value}\n" for name, value in variables.items())
        new.rename(self.env)

    def read(self) -> dict[str, str]:
        """Return the variables that were written last."""
        lines = self.env.read_text().splitlines() if self.env.exists() else []
        return dict(line.split("=", 1) for line in lines)

    def secret(self, name: str, size: int = 50) -> str:
        """Return the secret of that name, made of `size` bytes on first use and kept."""
        path = self.folder / f"{name}.secret"
        if not path.exists():
            with _private(path) as file:
                file.write(secrets.token_urlsafe(size))
        return path.read_text()

    def key(self, name: str) -> str:
        """Return the key of that name, 32 bytes as Fernet writes them, made on first use."""
        path = self.folder / f"{name}.key"
        if not path.exists():
            with _private(path) as file:
                file.write(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
        return path.read_text()


def _private(path: Path) -> TextIO:
    """Open a file of the owner's alone for writing."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")


def use_running_servers(command: str) -> None:
    """Put the variables of the running servers into this process's environment.

    Does nothing if DATABASE_URL is set. Ends the process if nothing runs and the command needs it.
    """
    if os.environ.get("DATABASE_URL"):
        return
    state = State(default_folder())
    if state.is_live():
        for name, value in state.read().items():
            os.environ.setdefault(name, value)
    elif command in WITHOUT_SERVERS:
        os.environ.setdefault("DJANGO_DEBUG", "1")
    else:
        sys.exit(
            f"`{command}` needs a database, and nothing runs on {state.folder}. "
            "Start it in another terminal with `python3 manage.py up`, or the servers alone "
            "with `python3 manage.py services`, or set DATABASE_URL and REDIS_URL."
        )
