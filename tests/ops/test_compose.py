"""compose.yaml: its shape by the schema of compose files, its commands by running them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flower.options import options as flower_options
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose.yaml"
SITE = ("migrate", "web", "worker", "controller", "flower")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def read(text: str) -> dict[str, Any]:
    return YAML(typ="safe").load(text)["services"]


SERVICES = read(COMPOSE.read_text())


def program(service: str) -> list[str]:
    """The service's command with the defaults of its variables, for the Python of the tests."""
    filled = [VARIABLE.sub(lambda found: found[3] or "", part) for part in command(service)]
    name, *rest = filled
    return [sys.executable, *rest] if name == "python" else [sys.executable, "-m", name, *rest]


def command(service: str) -> list[str]:
    found = SERVICES[service]["command"]
    assert isinstance(found, list), "a string would run in a shell, which keeps signals to itself"
    return found


def run(arguments: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=os.environ | variables, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_it_has_the_shape_of_a_compose_file() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = run([*check, str(COMPOSE)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_that_runs_is_there() -> None:
    assert set(SERVICES) == {"postgres", "valkey", *SITE}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_nothing_runs_as_root_or_writes_outside_its_volumes(service: str) -> None:
    found = SERVICES[service]
    assert not found["user"].startswith(("0", "root"))
    assert found["read_only"]
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"migrate"}))
def test_everything_that_stays_is_asked_for_its_health(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", SITE)
def test_one_image_serves_all(service: str) -> None:
    assert SERVICES[service]["image"] == "millrace:local"
    assert SERVICES[service]["build"] == SERVICES["web"]["build"]


@pytest.mark.parametrize("service", ["postgres", "valkey"])
def test_the_servers_are_reached_from_inside_alone(service: str) -> None:
    assert SERVICES[service]["networks"] == ["inside"]
    assert "ports" not in SERVICES[service]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_ports_are_open_to_this_machine_alone(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


def test_no_secret_has_a_default() -> None:
    found = VARIABLE.findall(COMPOSE.read_text())
    secrets = {name for name, *_ in found if re.search("KEY|PASSWORD|AUTH", name)}
    assert secrets == {"DJANGO_SECRET_KEY", "POSTGRES_PASSWORD", "FLOWER_BASIC_AUTH"}
    assert not [
        name for name, kind, default in found if name in secrets and kind == "-" and default
    ]


def test_the_web_servers_command_serves() -> None:
    done = run([*program("web"), "--check-config"])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", ["worker", "migrate", "controller"])
def test_commands_know_all_their_options(service: str) -> None:
    done = run([*program(service), "--help"])
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    options = [part for part in program(service) if part.startswith("--")]
    assert all(option.partition("=")[0] in done.stdout for option in options)


def test_flower_knows_all_its_options() -> None:
    options = {part[2:].partition("=")[0] for part in command("flower") if part.startswith("--")}
    assert options == {"address", "port"}
    assert options <= set(flower_options)


def test_the_image_takes_only_files_that_are_there() -> None:
    image = SERVICES["web"]["build"]["dockerfile_inline"]
    for source in re.findall(r"^COPY (?!--from)(\S+)", image, re.MULTILINE):
        assert (ROOT / source).exists(), source
    assert (ROOT / "requirements" / "production.txt").exists()


def test_there_is_time_to_end() -> None:
    """A container gets its SIGKILL only when its own grace is over."""
    from django.conf import settings

    from config import gunicorn

    seconds = {name: int(SERVICES[name]["stop_grace_period"].rstrip("s")) for name in
               ("web", "worker", "controller")}  # fmt: skip
    assert seconds["web"] > gunicorn.graceful_timeout
    assert seconds["worker"] > settings.JOBS_DRAIN_SECONDS + settings.JOBS_KILL_AFTER_SECONDS
    assert seconds["controller"] > settings.JOBS_CONTROLLER_SECONDS
