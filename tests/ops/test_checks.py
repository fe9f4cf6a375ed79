"""Wrong settings are said before anything runs with them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

ROOT = Path(__file__).resolve().parents[2]
CELERY = [sys.executable, "-m", "celery", "-A", "config", "worker", "-c", "1"]


def time_outs_in_disorder() -> list[str]:
    return [check.msg for check in run_checks(tags=["jobs"]) if check.id == "jobs.E004"]


def test_production_and_test_time_outs_are_in_order(settings: Any) -> None:
    assert time_outs_in_disorder() == []
    settings.JOBS_HEARTBEAT_SECONDS = 1.0
    settings.JOBS_IDLE_TRANSACTION_SECONDS = 15.0
    settings.JOBS_SELF_FENCE_SECONDS = 20.0
    settings.JOBS_LEASE_SECONDS = 30.0
    assert time_outs_in_disorder() == []


@pytest.mark.parametrize(
    ("name", "beyond", "said"),
    [
        ("HEARTBEAT", "SELF_FENCE", "would end its own jobs"),
        ("IDLE_TRANSACTION", "SELF_FENCE", "would keep its locks"),
        ("SELF_FENCE", "LEASE", "while the one before still works"),
    ],
)
def test_a_time_out_beyond_its_neighbour_is_an_error(
    settings: Any, name: str, beyond: str, said: str
) -> None:
    limit = getattr(settings, f"JOBS_{beyond}_SECONDS")
    setattr(settings, f"JOBS_{name}_SECONDS", limit)
    (message,) = time_outs_in_disorder()
    assert message.startswith(f"JOBS_{name}_SECONDS is {limit:g} and JOBS_{beyond}_SECONDS is")
    assert said in message


def test_a_worker_does_not_start_with_time_outs_in_disorder() -> None:
    """Celery runs no check that anybody hears; ours ends it before it claims anything."""
    wrong = os.environ | {"JOBS_SELF_FENCE_SECONDS": "40", "JOBS_LEASE_SECONDS": "30"}
    done = subprocess.run(CELERY, env=wrong, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "This worker does not start." in done.stderr
    assert "JOBS_SELF_FENCE_SECONDS is 40 and JOBS_LEASE_SECONDS is 30" in done.stderr
