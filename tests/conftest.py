"""What every test has: a database and a key prefix of its own, real data if there is any."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

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
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        MEDIA_ROOT=tmp_path_factory.mktemp("files"),
    ):
        yield


@pytest.fixture
def process_variables(db: None) -> dict[str, str]:
    """Return the environment of a process that works on this test's database and keys."""
    name = str(connection.settings_dict["NAME"])
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
    return os.environ | {
        "DATABASE_URL": url,
        "JOBS_KEY_PREFIX": KEY_PREFIX,
        "MILLRACE_FILES": str(settings.MEDIA_ROOT),
    }


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
