"""Run a command with servers that exist only for it."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from config.local.environment import ROOT
from config.local.processes import LaunchError, guarded
from config.local.servers import Valkey, missing_servers, start_servers, stop_servers

GRACE_SECONDS = 15


def run(
    command: Sequence[str],
    *,
    durable: bool,
    variables: dict[str, str],
    broker: type[Valkey] = Valkey,
) -> int:
    """Start what DATABASE_URL and REDIS_URL do not name, run the command, clean up.

    Returns the command's exit code; Ctrl-C and SIGTERM end the command first, then the servers.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-") as folder:
            root = Path(folder)
            for name in ("logs", "files", "static"):
                (root / name).mkdir()
            servers = missing_servers(root, durable=durable, broker=broker)
            start_servers(servers)
            try:
                return _run(command, _site(root) | variables)
            finally:
                stop_servers(servers)
    except KeyboardInterrupt:
        return 130
    except LaunchError as error:
        print(error, file=sys.stderr)
        return 1


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _site(root: Path) -> dict[str, str]:
    return {
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
        "DJANGO_DEBUG": "0",
        "DJANGO_HTTPS": "0",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "MILLRACE_FILES": str(root / "files"),
        "MILLRACE_STATIC": str(root / "static"),
        "MILLRACE_STATIC_COLLECTED": "0",
    }


def _run(command: Sequence[str], variables: dict[str, str]) -> int:
    """Run it in our process group, where a Ctrl-C of the terminal reaches it too."""
    process = subprocess.Popen(guarded(command), env=os.environ | variables, cwd=ROOT)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
