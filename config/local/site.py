"""The whole site on one machine: servers, database, web, worker and controller."""

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from config.local import flower, launch
from config.local.environment import ROOT
from config.local.processes import LaunchError, Process, guarded, stop_all
from config.local.servers import Postgres, Server, missing_servers, start_servers, stop_servers
from config.local.state import State

MANAGE: list[str | Path] = [sys.executable, ROOT / "manage.py"]
READY_SECONDS = 60
STOP_SECONDS = 6  # with three seconds for the servers, Ctrl-C ends everything within ten
PORTS_TRIED = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that runs the site."""
    launch.add_data_folder(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="first port to try (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="jobs at once (%(default)s)")
    parser.add_argument(
        "--flower",
        type=int,
        nargs="?",
        const=flower.PORT,
        metavar="PORT",
        help=f"also run Flower, read-only, with a password, on 127.0.0.1 (port {flower.PORT})",
    )


class Site:
    """A running site."""

    def __init__(self, url: str, processes: Sequence[Process]) -> None:
        self.url = url
        self.processes = processes

    def run_command(self, *arguments: str) -> int:
        """Run a command of manage.py while the site stays up; return its exit code."""
        command = subprocess.Popen(guarded([*MANAGE, *arguments]), env=_variables("command"))
        try:
            launch.watch(self.processes, until=lambda: command.poll() is not None)
        finally:
            command.terminate()
            command.wait()
        return command.returncode

    def stay(self) -> None:
        """Keep everything up until somebody ends the launcher."""
        launch.watch(self.processes)


@contextlib.contextmanager
def running(state: State, options: argparse.Namespace) -> Iterator[Site]:
    """Run the site for as long as the block runs; yields it when `/healthz` answers 200."""
    with _servers(state) as servers, _listen(options.host, options.port) as listener:
        variables = launch.site_variables(state)
        _allow_hosts(options.host, variables)
        url = f"http://{_shown(options.host)}:{listener.getsockname()[1]}"
        state.write(variables | {"MILLRACE_URL": url})
        _prepare(state, servers)
        processes = _processes(state, listener, options.workers)
        try:
            for process in processes:
                process.start()
            _wait_until_healthy(url, processes)
            if options.flower is not None:
                _add_flower(state, options.flower, processes)
            yield Site(url, [*(server.process for server in servers), *processes])
        finally:
            _be_deaf()
            stop_all(processes, STOP_SECONDS)


@contextlib.contextmanager
def _servers(state: State) -> Iterator[list[Server]]:
    """Run the servers that nobody named."""
    servers = missing_servers(state.folder)
    start_servers(servers)
    try:
        yield servers
    finally:
        _be_deaf()
        stop_servers(servers)


def _be_deaf() -> None:
    """Let a second Ctrl-C not cut the ending short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket on the port, or on the next free one; gunicorn inherits it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except PermissionError:
            raise LaunchError(f"Port {candidate} needs rights that you lack. Use --port.") from None
        except OSError as error:
            listener.close()
            if candidate == port and isinstance(error, socket.gaierror):
                raise LaunchError(f"{host} is no address of this machine: {error}.") from None
        else:
            if candidate != port:
                print(f"Port {port} is taken; using {candidate}.", flush=True)
            return listener
    raise LaunchError(f"No free port on {host} from {port} on. Name another with --port.")


def _shown(host: str) -> str:
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104
    return local.get(host, f"[{host}]" if ":" in host else host)


def _allow_hosts(host: str, variables: dict[str, str]) -> None:
    names = [socket.gethostname(), _shown(host)]
    everywhere = host in {"0.0.0.0", "::"}  # noqa: S104
    hosts = os.environ.get("DJANGO_ALLOWED_HOSTS") or ("*" if everywhere else ",".join(names))
    variables["DJANGO_ALLOWED_HOSTS"] = os.environ["DJANGO_ALLOWED_HOSTS"] = hosts


def _prepare(state: State, servers: Sequence[Server]) -> None:
    """Migrate, collect static files, make the first user: what needs Django and no web."""
    own = ["--own-database"] if any(isinstance(one, Postgres) for one in servers) else []
    command = guarded([*MANAGE, "prepare_site", state.folder, *own])
    if subprocess.run(command, check=False, env=_variables("command")).returncode != 0:
        raise LaunchError("The database could not be prepared; the reason stands above.")


def _variables(role: str) -> dict[str, str]:
    return os.environ | {"MILLRACE_ROLE": role, "PYTHONUNBUFFERED": "1"}


def _processes(state: State, listener: socket.socket, workers: int) -> list[Process]:
    """Return web, worker and controller, which read the site's variables from this process."""
    gunicorn = [sys.executable, "-m", "gunicorn", "config.wsgi", "-c", "python:config.gunicorn"]
    celery = [sys.executable, "-m", "celery", "-A", "config", "worker", "--pool=prefork"]
    celery += [f"--concurrency={workers}", "--without-gossip", "--without-mingle"]
    commands: dict[str, list[str | Path]] = {
        "web": [*gunicorn, "--bind", f"fd://{listener.fileno()}", "--graceful-timeout", "3"],
        "worker": [*celery, "--disable-prefetch", "--loglevel=INFO"],
        "controller": [*MANAGE, "jobs", "controller"],
    }
    return [
        Process(
            f"The {role}",
            command,
            state.logs / f"{role}.log",
            variables=_variables(role),
            files=[listener.fileno()] if role == "web" else [],
            folder=ROOT,
        )
        for role, command in commands.items()
    ]


def _wait_until_healthy(url: str, processes: Sequence[Process]) -> None:
    deadline = time.monotonic() + READY_SECONDS

    def healthy() -> bool:
        status, parts = _health(url)
        if time.monotonic() > deadline:
            logs = "\n".join(process.last_words() for process in processes)
            raise LaunchError(
                f"{url}/healthz was not well after {READY_SECONDS} seconds: {parts}\n{logs}"
            )
        return status == 200

    launch.watch(processes, until=healthy)


def _health(url: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        parts = json.loads(response.read())
        return response.status, ", ".join(f"{part} is {word}" for part, word in parts.items())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return 0, f"no answer ({error})"
    finally:
        connection.close()


def _add_flower(state: State, port: int, processes: list[Process]) -> None:
    """Start Flower when there are workers for it to ask, and say where it is."""
    with _listen(flower.ADDRESS, port) as free:  # let go again: Flower opens its port itself
        monitor = flower.Flower(state, free.getsockname()[1])
    processes.append(monitor.process)
    monitor.process.start()
    monitor.process.wait_until(monitor.answers)
    print(monitor, flush=True)
