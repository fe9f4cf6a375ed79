"""`manage.py up` on a machine: real servers, real signals, the process list as the witness."""

import contextlib
import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("DATABASE_URL", "REDIS_URL", "DJANGO_", "MILLRACE_", "JOBS_", "PYTEST_")
UP = re.compile(r"Millrace is up at (http://\S+)")
FLOWER = re.compile(r"Flower: http://(127\.0\.0\.1:\d+)/, read-only, .* password (\S+)")


def clean_variables(folder: Path) -> dict[str, str]:
    """Return the environment of a person's shell, without that of the test run.

    The static files are shared: collecting them once is enough.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    static = os.environ["MILLRACE_STATIC"] + f"-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    return kept | {
        "MILLRACE_DATA_DIR": str(folder),
        "MILLRACE_STATIC": static,
        "PYTHONUNBUFFERED": "1",
    }


def eventually(condition: Callable[[], object], seconds: float) -> bool:
    """Wait for the condition; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive(folder: Path) -> dict[int, str]:
    """Return the processes that have the data folder in their command or environment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
            if command and os.fsencode(folder) in command + environment:
                found[int(process.name)] = os.fsdecode(command.replace(b"\0", b" "))
    return found


def manage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py to its end."""
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", *arguments],
        env=clean_variables(folder),
        capture_output=True,
        text=True,
        timeout=120,
    )


def status_of(url: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


class Start:
    """A launcher that runs `up`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.output_path = folder.with_suffix(".output")
        with self.output_path.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "manage.py", "up", "--port", "0", *options],
                env=clean_variables(folder),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=folder.parent,  # from wherever it is called
            )
        assert eventually(lambda: self.url or self.process.poll() is not None, 120), self.output
        assert self.url, self.output

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    @property
    def url(self) -> str:
        found = UP.search(self.output)
        return found[1] if found else ""

    def end(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send the signal to the launcher alone; return the seconds until it has ended."""
        begun = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - begun


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder; whatever still runs on it at the end of the test is killed."""
    folder = tmp_path / "data"
    yield folder
    for pid in alive(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Start]]:
    """Return a function that starts `up` on the data folder."""
    starts: list[Start] = []

    def _start(*options: str) -> Start:
        starts.append(Start(folder, *options))
        return starts[-1]

    yield _start
    for one in starts:
        one.end()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """A site with Flower that runs for the tests of this file that do not end it."""
    start = Start(tmp_path_factory.mktemp("up") / "data", "--flower", "0")
    yield start
    start.end()


def test_the_site_is_well_when_up_says_so(started: Start) -> None:
    assert status_of(started.url) == 200


def test_the_first_user_is_made_and_said(started: Start) -> None:
    assert "`admin` was made, with the password" in started.output


def test_a_second_start_says_where_the_first_runs(started: Start) -> None:
    second = manage(started.folder, "up")
    assert second.returncode == 0
    assert started.url in second.stdout


def test_secrets_are_the_owners_alone(started: Start) -> None:
    for name in ("env", "django.secret", "flower.secret", "logins.json"):
        assert stat.S_IMODE((started.folder / name).stat().st_mode) == 0o600


def test_other_commands_find_the_running_servers(started: Start) -> None:
    done = manage(started.folder, "migrate", "--check")
    assert done.returncode == 0, done.stderr


def test_a_process_that_dies_is_started_again(started: Start) -> None:
    web = min(pid for pid, command in alive(started.folder).items() if "gunicorn" in command)
    os.kill(web, signal.SIGKILL)
    assert eventually(lambda: "The web ended by SIGKILL" in started.output, 10)
    assert eventually(lambda: status_of(started.url) == 200, 20), started.output


def test_flower_is_said_once_and_asks_for_its_password(started: Start) -> None:
    ((address, password),) = FLOWER.findall(started.output)
    assert (started.folder / "flower.secret").read_text() == password
    for login, status in ((None, 401), (f"flower:{password}", 200)):
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
        connection = http.client.HTTPConnection(address, timeout=5)
        connection.request("GET", "/", headers=headers)
        assert connection.getresponse().status == status
        connection.close()


def test_flower_is_started_again_and_its_password_is_in_no_command(started: Start) -> None:
    (flower,) = [pid for pid, command in alive(started.folder).items() if " flower " in command]
    secret = (started.folder / "flower.secret").read_text()
    assert not [command for command in alive(started.folder).values() if secret in command]
    os.kill(flower, signal.SIGKILL)
    assert eventually(lambda: "Flower ended by SIGKILL" in started.output, 10)


def test_ctrl_c_ends_everything_within_ten_seconds(
    folder: Path, start: Callable[..., Start]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        site = start("--port", str(port), "--flower", "0")
    assert f"Port {port} is taken; using " in site.output
    assert status_of(site.url) == 200

    assert site.end(signal.SIGINT) < 10
    assert site.process.returncode == 0
    assert eventually(lambda: not alive(folder), 1), alive(folder)


def test_a_killed_launcher_leaves_no_process_and_the_next_start_keeps_the_data(
    folder: Path, start: Callable[..., Start]
) -> None:
    first = start()
    make = "from django.contrib.auth.models import Group; Group.objects.create(name='Kept')"
    assert manage(folder, "shell", "-c", make).returncode == 0
    first.end(signal.SIGKILL)

    second = start()
    look = "from django.contrib.auth.models import Group; Group.objects.get(name='Kept')"
    done = manage(folder, "shell", "-c", look)
    assert done.returncode == 0, done.stderr
    assert "was made" not in second.output

    second.end(signal.SIGKILL)
    assert eventually(lambda: not alive(folder), 15), alive(folder)


def test_a_command_without_servers_says_what_to_start(folder: Path) -> None:
    done = manage(folder, "migrate")
    assert done.returncode == 1
    assert "`migrate` needs a database" in done.stderr
    assert "manage.py up" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help_names_our_own_commands_first(folder: Path, arguments: tuple[str, ...]) -> None:
    said = manage(folder, *arguments).stdout
    ours, djangos = said.split("Available subcommands:")
    for name in ("demo", "up", "services", "test", "bench", "lint", "lock"):
        assert re.search(rf"manage\.py {name} +\w", ours), name
    assert "load_demo" not in ours
    assert "migrate" in djangos


def test_help_on_a_command_is_djangos(folder: Path) -> None:
    assert "manage.py demo" not in manage(folder, "help", "migrate").stdout


def test_a_demonstration_without_its_files_starts_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "products.csv").touch()
    done = manage(folder, "demo", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        f"{tmp_path} has no categories.csv, attributes.csv, attribute_options.csv and families.csv."
    ) in done.stderr
    assert not folder.exists() or not list(folder.iterdir())


def test_an_older_python_is_told_in_a_sentence() -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 9); sys.argv = ['manage.py', 'demo'];"
        f"runpy.run_path({str(ROOT / 'manage.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr


def test_a_python_without_ensurepip_names_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from config.local import environment

    monkeypatch.setattr(environment, "FOLDER", tmp_path / ".venv")
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="apt-get install python3-venv"):
        environment._create()


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for an environment that has nothing but a Python, and locks for it."""
    from config.local import environment

    folder, locks = tmp_path / ".venv", tmp_path / "requirements"
    monkeypatch.setattr(environment, "FOLDER", folder)
    monkeypatch.setattr(environment, "PYTHON", folder / "bin" / "python")
    monkeypatch.setattr(environment, "LOCKS", locks)
    for path in (folder / "bin" / "python", locks / "local.txt", locks / "development.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return folder


def test_an_environment_without_its_marker_is_built_again(empty_environment: Path) -> None:
    from config.local import environment

    assert not environment._is_ready("local")


def test_an_environment_of_the_wider_lock_serves_the_narrower(empty_environment: Path) -> None:
    from config.local import environment

    marker = empty_environment / "development.ready"
    marker.write_text(environment._fingerprint("development"))
    assert environment._is_ready("local")
    assert environment._is_ready("development")


def test_a_changed_lock_is_installed(empty_environment: Path) -> None:
    from config.local import environment

    marker = empty_environment / "local.ready"
    marker.write_text(environment._fingerprint("local"))
    assert environment._is_ready("local")
    assert not environment._is_ready("development")
    (environment.LOCKS / "local.txt").write_text("django==6.0")
    assert not environment._is_ready("local")
