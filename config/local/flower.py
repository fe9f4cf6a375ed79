"""Flower beside the site: with a password, read-only, for this machine alone."""

import http.client
import sys

from config.local.environment import ROOT
from config.local.processes import Process
from config.local.state import State

ADDRESS = "127.0.0.1"
PORT = 5555
USER = "flower"
PASSWORD_BYTES = 12


class Flower:
    """Celery's monitor on a port of this machine."""

    def __init__(self, state: State, port: int) -> None:
        self.port = port
        self.password = state.secret("flower", PASSWORD_BYTES)
        self.process = Process(
            "Flower",
            [sys.executable, "-m", "celery", "-A", "config", "flower", f"--port={port}",
             f"--conf={ROOT / 'flowerconfig.py'}", f"--address={ADDRESS}", "--read_only=True"],
            state.logs / "flower.log",
            # By the environment: everybody may read a command line.
            variables={"FLOWER_BASIC_AUTH": f"{USER}:{self.password}", "MILLRACE_ROLE": "flower"},
            folder=ROOT,
        )  # fmt: skip

    def __str__(self) -> str:
        return (
            f"Flower: http://{ADDRESS}:{self.port}/, read-only, as `{USER}` with the password "
            f"{self.password}"
        )

    def answers(self) -> bool:
        """Tell whether it serves."""
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=2)
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
