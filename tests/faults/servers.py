"""PostgreSQL and Valkey that a test may ruin."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from config.local.servers import Postgres, Valkey

# A crash of the server must not take back what it has confirmed, and commit times show which
# attempt wrote a row when.
SETTINGS = {
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "track_commit_timestamp": "on",
    "max_wal_size": "1GB",
}
PRIVATE = "10.213.77"  # the network between this machine and its network namespaces


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class OwnPostgres(Postgres):
    """PostgreSQL on a socket and on a port, with a data folder that may be copied in place."""

    def __init__(self, root: Path, **settings: str):
        self.port, self.changes = free_port(), settings
        super().__init__(root, durable=False)
        self.url = f"postgres://millrace@/millrace?host={self.sockets}&port={self.port}"
        self.tcp = f"postgres://millrace@127.0.0.1:{self.port}/millrace"
        self.unix = self.sockets / f".s.PGSQL.{self.port}"

    def _options(self) -> list[str]:
        own = {"listen_addresses": "*", "port": str(self.port)} | SETTINGS | self.changes
        more = [part for name, value in own.items() for part in ("-c", f"{name}={value}")]
        return super()._options() + more

    def take(self, template: Path) -> None:
        """Begin with a copy of another server's data."""
        shutil.copytree(template, self.data, dirs_exist_ok=True)
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {PRIVATE}.0/24 trust\n")

    def answers(self) -> bool:
        ask = ["-q", "-h", str(self.sockets), "-p", str(self.port), "-d", "millrace"]
        return subprocess.run([self.programs / "pg_isready", *ask], check=False).returncode == 0

    def up(self) -> None:
        self.start()
        self.process.wait_until(self.answers)

    def crash(self) -> None:
        """End it with all its processes, without a word to anybody."""
        self.process.kill()
        _wait(self.process)


class OwnValkey(Valkey):
    """Valkey on a port, without persistence."""

    def __init__(self, root: Path):
        self.port = free_port()
        super().__init__(root, durable=False)
        self.url = f"redis://127.0.0.1:{self.port}"

    def _options(self) -> list[str]:
        options = super()._options()
        options[options.index("--port") + 1] = str(self.port)
        return [*options, "--bind", "0.0.0.0", "--protected-mode", "no"]

    def up(self) -> None:
        self.start()
        self.process.wait_until(self.answers)

    def crash(self) -> None:
        self.process.kill()
        _wait(self.process)
        with suppress(FileNotFoundError):
            self.socket.unlink()


def _wait(process) -> None:
    while process.exit_code() is None:
        time.sleep(0.01)
