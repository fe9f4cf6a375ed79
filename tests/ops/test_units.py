"""The units of docs/operations.md start what compose.yaml starts, and let it end."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from django.conf import settings

from config import gunicorn
from tests.ops.test_compose import VARIABLE, command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def units() -> dict[str, dict[str, str]]:
    """The settings of the section Service; web and controller have the worker's but for theirs."""
    worker, *others = re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found = {"worker": service(worker)}
    for text in others:
        name = re.match(r"# millrace-(\w+)\.service\n", text)[1]
        found[name] = found["worker"] | service(f"[Service]\n{text}")
    return found


def service(text: str) -> dict[str, str]:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read_string(text)
    return dict(parser["Service"])


@pytest.mark.parametrize("name", ["worker", "web", "controller"])
def test_a_unit_runs_the_command_of_the_container(name: str) -> None:
    program, *rest = units()[name]["ExecStart"].split()
    filled = [VARIABLE.sub(lambda found: found[3], part) for part in command(name)]
    assert [Path(program).name, *rest] == filled
    assert f"MILLRACE_ROLE={name} " in units()[name]["Environment"]


def test_a_stop_reaches_the_main_process_and_leaves_time() -> None:
    found = units()
    assert {unit["KillMode"] for unit in found.values()} == {"mixed"}
    seconds = {name: int(unit["TimeoutStopSec"]) for name, unit in found.items()}
    assert seconds["worker"] > settings.JOBS_DRAIN_SECONDS + settings.JOBS_KILL_AFTER_SECONDS
    assert seconds["web"] > gunicorn.graceful_timeout
    assert seconds["controller"] > settings.JOBS_CONTROLLER_SECONDS


def test_no_unit_runs_as_root_or_dies_with_a_job() -> None:
    for unit in units().values():
        assert unit["User"] == "millrace"
        assert unit["NoNewPrivileges"] == "yes"
        assert unit["OOMPolicy"] == "continue"
