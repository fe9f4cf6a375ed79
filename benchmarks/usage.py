"""CPU time and memory of processes, from /proc; all is 0 on systems without it."""

import os
from pathlib import Path

import psycopg

TICKS = os.sysconf("SC_CLK_TCK")


def usage_of(pid: int | None) -> tuple[int, float]:
    """The most memory that the process has had, in bytes, and its CPU seconds; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        own = _times(pid)[:2]
    except OSError:
        return 0, 0.0
    lines = status.splitlines()
    kilobytes = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), "0")
    return int(kilobytes) * 1024, sum(own) / TICKS


class Server:
    """PostgreSQL's processes, all together, if they run on this machine."""

    def __init__(self, connection: psycopg.Connection):
        backend = connection.info.backend_pid
        self.pid = _parent(backend) if "postgres" in _title(backend) else None

    def cpu_seconds(self) -> float:
        """What they have used since the server's start, those that are gone included."""
        if self.pid is None:
            return 0.0
        used = sum(_times(self.pid))
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _parent(folder.name) == self.pid:
                try:
                    used += sum(_times(folder.name)[:2])
                except OSError:
                    continue  # it has just ended, and the server has its time
        return used / TICKS


def _times(pid: int | str | None) -> list[int]:
    """Ticks of the process for itself and in the kernel, then those of its ended children."""
    return list(map(int, _fields(pid)[11:15]))


def _parent(pid: int | str) -> int | None:
    try:
        return int(_fields(pid)[1])
    except OSError:
        return None


def _fields(pid: int | str | None) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
