"""The broker may be Redis as well as Valkey: `manage.py test --redis` runs tests on it."""

import os
import shutil
from pathlib import Path

import pytest
import redis

from config.local.processes import LaunchError
from config.local.servers import Redis, start_servers, stop_servers


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder; REDIS_URL is as before when the test is over."""
    monkeypatch.setenv("REDIS_URL", "")
    (tmp_path / "logs").mkdir()
    return tmp_path


def test_redis_itself_takes_valkeys_place(root: Path) -> None:
    if not shutil.which("redis-server"):
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("There is no Redis: apt-get install redis-server")
    server = Redis(root, durable=False)
    start_servers([server])
    try:
        client = redis.Redis(unix_socket_path=str(server.socket))
        said = client.info("server")
        client.close()
    finally:
        stop_servers([server])
    assert said["executable"].endswith("redis-server")
    assert "valkey_version" not in said
    assert os.environ["REDIS_URL"] == server.url


def test_without_redis_the_reason_is_a_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(LaunchError, match="apt-get install redis-server"):
        Redis(root, durable=False)
