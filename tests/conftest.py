"""What every test has: a database and a key prefix of its own, real data if there is any."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
KEY_PREFIX = f"test-{WORKER}:"
# Before anything is published: parallel tests share one Valkey.
settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = KEY_PREFIX


@pytest.fixture(autouse=True, scope="session")
def _quick_and_separate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hash passwords quickly and keep uploaded files where the session ends."""
    with override_settings(
        WHITENOISE_AUTOREFRESH=True,  # else every test's client goes through all static files
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        MEDIA_ROOT=tmp_path_factory.mktemp("files"),
    ):
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the database, and see that nobody is left in it when it is dropped.

    A thread that served a request may still be leaving.
    """
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the system's Chromium, or skip the test; where CI is set it must be there."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("There is no Chromium: apt-get install chromium")
    return str(found)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip the test with the reason."""
    folder = os.environ.get("MILLRACE_DATA")
    if not folder:
        pytest.skip("MILLRACE_DATA does not name the folder of real data")
    return Path(folder)
