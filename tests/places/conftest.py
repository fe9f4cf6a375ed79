"""Places on this machine, each of which has the same three files."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from jobs.places import Folder, Place, connect
from tests.places.servers import (
    PASSWORD,
    USER,
    SftpServer,
    WebServer,
    s3_server,
    sftp_server,
    web_server,
)

FILES = {
    "feed/products-1.csv": b"sku\na\n",
    "feed/products-2.csv": b"sku\nb\n",
    "feed/other.csv": b"sku\nc\n",
}


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[SftpServer]:
    root = tmp_path / "sftp"
    root.mkdir()
    with sftp_server(root) as server:
        yield server


@pytest.fixture
def bucket(s3_address: str) -> dict[str, str]:
    """The options of a credential for a new bucket."""
    import boto3

    name = f"b{uuid.uuid4().hex[:10]}"
    client = boto3.client(
        "s3",
        endpoint_url=s3_address,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key=PASSWORD,
    )
    client.create_bucket(Bucket=name)
    return {"endpoint": s3_address, "bucket": name, "access_key": "key"}


@pytest.fixture
def server_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that the settings allow under the name `feeds`."""
    root = tmp_path / "feeds"
    root.mkdir()
    with override_settings(JOBS_FOLDERS={"feeds": root}):
        yield root


def fill(root: Path) -> None:
    """The three files, the second newer than the others."""
    for age, (name, content) in enumerate(FILES.items()):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        at = 1_700_000_000 + (5000 if "-2" in name else age)
        os.utime(path, (at, at))


@pytest.fixture(params=["folder", "s3", "sftp"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """One place of each kind that can be listed, with the three files."""
    made: Callable[[], Place] = {"folder": _folder, "s3": _s3, "sftp": _sftp}[request.param]
    found = made(request)
    yield found
    found.close()


def _folder(request: pytest.FixtureRequest) -> Place:
    fill(request.getfixturevalue("server_folder"))
    return Folder("feeds")


def _s3(request: pytest.FixtureRequest) -> Place:
    import io

    found = connect("s3", request.getfixturevalue("bucket"), {"secret_key": PASSWORD})
    for name, content in sorted(FILES.items(), key=lambda item: "-2" in item[0]):
        found.write(name, io.BytesIO(content), len(content), "t")
    return found


def _sftp(request: pytest.FixtureRequest) -> Place:
    server: SftpServer = request.getfixturevalue("sftp")
    fill(server.root)
    return connect("sftp", sftp_options(server), {"password": PASSWORD})


def sftp_options(server: SftpServer) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "fingerprint": server.fingerprint,
    }
