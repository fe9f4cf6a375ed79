"""The health check of a container: has this machine's worker or controller reported itself?"""

import subprocess
import sys

import pytest

from jobs.models import Worker
from tests.fleet import ROOT, eventually


def ask(variables: dict[str, str], kind: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "config.reported", kind]
    return subprocess.run(
        command, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=20
    )


@pytest.mark.parametrize("kind", ["worker", "controller"])
def test_a_process_that_reports_itself_is_well(worker, variables, kind):
    eventually(lambda: Worker.objects.live().filter(kind=kind).exists(), f"the {kind} is there")
    done = ask(variables, kind)
    assert done.returncode == 0, done.stderr


def test_one_that_is_silent_or_elsewhere_is_not(variables):
    elsewhere = Worker.objects.create(name="other", kind="silent", node="elsewhere", pid=1)
    done = ask(variables, "silent")
    elsewhere.delete()
    assert done.returncode == 1
    assert done.stderr.startswith("No silent on ")


def test_one_whose_database_is_away_is_not(variables):
    gone = {"DATABASE_URL": "postgres://millrace@/millrace?host=/nowhere"}
    assert ask(variables | gone, "worker").returncode == 1
