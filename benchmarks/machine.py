"""What the figures were measured on."""

import os
import platform
from dataclasses import dataclass

import django
import psycopg
from psycopg import pq


@dataclass(frozen=True)
class Machine:
    """Cores, memory and versions; `load` is the average of the minute before."""

    cores: int
    memory_gib: float
    load: float
    python: str
    postgresql: str
    django: str
    psycopg: str

    @classmethod
    def describe(cls, connection: psycopg.Connection) -> "Machine":
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return cls(
            cores=os.cpu_count() or 1,
            memory_gib=round(pages * size / 1024**3, 1),
            load=round(os.getloadavg()[0], 1),
            python=platform.python_version(),
            postgresql=connection.execute("SHOW server_version").fetchone()[0],
            django=django.get_version(),
            psycopg=f"{psycopg.__version__} ({pq.__impl__})",
        )

    def __str__(self) -> str:
        return (
            f"{self.cores} cores, {self.memory_gib} GiB (load before: {self.load}), "
            f"Python {self.python}, PostgreSQL {self.postgresql}, Django {self.django}, "
            f"psycopg {self.psycopg}"
        )
