"""The Python environment in `.venv`, built from the locks in `requirements/` on first use."""

import contextlib
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from config.local.processes import guarded

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"
LOCKS = ROOT / "requirements"
# A lock that contains the other; an environment built from it serves both.
WIDER = {"local": "development"}
Command = list[str | Path]


def enter(lock: str) -> None:
    """Go on in an environment that has the packages of the named lock, building it if need be.

    An active virtual environment that has Django and Celery is used as it is, and so is the
    running Python with `MILLRACE_ENVIRONMENT=system` (a container image).
    """
    if os.environ.get("MILLRACE_ENVIRONMENT") == "system" or _foreign_environment_serves():
        return
    if os.name != "posix":
        sys.exit("Millrace runs on Linux and macOS. On Windows use it inside WSL 2.")
    with _one_at_a_time():
        built = not _is_ready(lock)
        if built:
            _build(lock)
    if built or Path(sys.prefix).resolve() != FOLDER.resolve():
        sys.stdout.flush()
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def _foreign_environment_serves() -> bool:
    in_environment = sys.prefix != sys.base_prefix
    own = Path(sys.prefix).resolve() == FOLDER.resolve()
    return in_environment and not own and bool(find_spec("django") and find_spec("celery"))


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let two commands started together build the environment once."""
    import fcntl  # noqa: PLC0415 - not on Windows, which is told so above

    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _is_ready(lock: str) -> bool:
    if not PYTHON.exists():
        return False
    return any(
        _marker(name).exists() and _marker(name).read_text() == _fingerprint(name)
        for name in (lock, WIDER.get(lock, lock))
    )


def _marker(lock: str) -> Path:
    return FOLDER / f"{lock}.ready"


def _fingerprint(lock: str) -> str:
    return hashlib.sha256((LOCKS / f"{lock}.txt").read_bytes()).hexdigest()


def _build(lock: str) -> None:
    """Install the lock; the marker is written last, so that a broken build starts over."""
    print(f"Building the Python environment in {FOLDER} …", file=sys.stderr, flush=True)
    try:
        markers = list(FOLDER.glob("*.ready"))
        if not markers or not PYTHON.exists():
            _create()
        # Another lock's packages stay while a running `up` uses them; only its marker goes.
        for marker in markers:
            marker.unlink(missing_ok=True)
        _install(lock)
        _marker(lock).write_text(_fingerprint(lock))
    except PermissionError as error:
        sys.exit(
            f"The environment cannot be built: {error.filename} belongs to another user. "
            "Use a copy of the project that is your own."
        )
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"The environment could not be built: this command ended with exit code "
            f"{error.returncode}:\n  {' '.join(map(str, error.cmd))}\n"
            "Its reason stands above. Check the network and the disk, then start again."
        )


def _create() -> None:
    if not (find_spec("ensurepip") and find_spec("venv")):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        sys.exit(
            f"{sys.executable} cannot make virtual environments: its module ensurepip is missing. "
            f"On Debian and Ubuntu install it with: apt-get install python3-venv ({package})"
        )
    venv.create(FOLDER, with_pip=True, clear=True, symlinks=True)
    (FOLDER / ".gitignore").write_text("*\n")
    pip: Command = [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    _run([*pip, "--require-hashes", "-r", LOCKS / "uv.txt"])


def _install(lock: str) -> None:
    uv: Command = [FOLDER / "bin" / "uv", "pip", "install", "--quiet", "--python", PYTHON]
    # Compiled now, or every start would compile it where Python may not write beside the code.
    _run([*uv, "--compile-bytecode", "--require-hashes", "-r", LOCKS / f"{lock}.txt"])


def uv_variables() -> dict[str, str]:
    """Return the process's variables with those that make uv trust what the machine trusts."""
    return os.environ | {
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def _run(command: Command) -> None:
    # Guarded: an installer must not go on while the next start builds anew.
    done = subprocess.run(guarded(command), check=False, env=uv_variables())
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command)
