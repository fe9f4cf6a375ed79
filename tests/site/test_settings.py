"""The site's settings: what is missing is said, what goes out is safe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]
COMPLETE = {
    "DATABASE_URL": "postgres://db.example.org/jobs",
    "REDIS_URL": "redis://broker.example.org",
    "DJANGO_SECRET_KEY": "a-long-secret-of-many-characters-0123456789-ABCDEFGHIJ",
    "DJANGO_HTTPS": "1",
    "DJANGO_ALLOWED_HOSTS": "jobs.example.org",
}


def run_check(variables: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    ours = ("DATABASE_URL", "REDIS_URL", "DJANGO_", "MILLRACE_", "JOBS_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-m", "django", "check", *options],
        env=clean | {"DJANGO_SETTINGS_MODULE": "config.settings"} | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL", "DJANGO_SECRET_KEY"])
def test_without_debug_nothing_falls_back(missing: str) -> None:
    done = run_check({name: value for name, value in COMPLETE.items() if name != missing})
    assert done.returncode == 1
    assert f"The environment variable {missing} is not set." in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://x/y", "Millrace needs PostgreSQL"),
        ("DJANGO_HTTPS", "maybe", "DJANGO_HTTPS is 'maybe'; write 1 or 0."),
        ("JOBS_LEASE_SECONDS", "soon", "JOBS_LEASE_SECONDS is 'soon', which is not a number"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, sentence: str) -> None:
    done = run_check(COMPLETE | {name: value})
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_production_site_passes_djangos_deployment_check() -> None:
    done = run_check(COMPLETE, "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_compose_file_is_valid() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*checker, ROOT / "compose.yaml"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
