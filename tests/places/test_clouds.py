"""Azure and Google Cloud Storage, against what their interfaces answer."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest

from jobs.places import NotThere, Place, PlaceError, Unavailable, connect, newest
from tests.places.clouds import BUCKET, TOKEN, AzureHandler, Cloud, GoogleHandler, service_account
from tests.places.clouds import cloud as cloud_server
from tests.places.test_places import content, write

KEY = base64.b64encode(b"a key of the account").decode()


@pytest.fixture(params=["azure", "gcs"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def cloud(kind: str) -> Iterator[Cloud]:
    with cloud_server({"azure": AzureHandler, "gcs": GoogleHandler}[kind]) as found:
        yield found


@pytest.fixture
def place(kind: str, cloud: Cloud) -> Iterator[Place]:
    if kind == "azure":
        options = {"account": "feeds", "container": BUCKET, "endpoint": cloud.url}
        found = connect("azure", options | {"folder": "in"}, {"account_key": KEY})
    else:
        options = {"bucket": BUCKET, "endpoint": cloud.url, "folder": "in"}
        found = connect("gcs", options, {"service_account": service_account(cloud.url)})
    yield found
    found.close()


def test_a_file_is_read_and_written_below_the_folder(place: Place, cloud: Cloud):
    data = b"sku\n" + b"a" * 200_000
    write(place, "feed/a b.csv", data)
    assert cloud.files == {"in/feed/a b.csv": data}
    assert content(place, "feed/a b.csv") == data


def test_an_empty_file_is_read_and_written(place: Place):
    write(place, "empty.csv", b"")
    assert content(place, "empty.csv") == b""


def test_files_are_listed_with_size_and_time(place: Place, cloud: Cloud):
    cloud.files |= {"in/a.csv": b"1", "in/b.csv": b"22", "in/deep/c.csv": b"3", "out/d.csv": b"4"}
    found = {one.path: (one.size, one.modified.day) for one in place.list("")}
    assert found == {"a.csv": (1, 20), "b.csv": (2, 20)}
    assert newest(place, "deep/*.csv").path == "deep/c.csv"


def test_a_missing_file_is_said(place: Place):
    with pytest.raises(NotThere, match=f"The (bucket|container) {BUCKET} has no 'no.csv'"):
        content(place, "no.csv")


def test_every_request_is_signed(place: Place, cloud: Cloud, kind: str):
    write(place, "a.csv", b"a")
    assert "files" in place.test()
    expected = "SharedKey feeds:" if kind == "azure" else f"Bearer {TOKEN}"
    asked = [said for said in cloud.authorized if said]
    assert asked
    assert all(said.startswith(expected) for said in asked)


@pytest.mark.parametrize(("status", "error"), [(403, PlaceError), (503, Unavailable)])
def test_refusals_and_failures_are_told_apart(place: Place, cloud: Cloud, status, error):
    place.test()  # Google's token is fetched
    cloud.status = status
    with pytest.raises(error):
        place.test()
    with pytest.raises(error):
        place.write("a.csv", io.BytesIO(b"a"), 1, "t")


def test_a_service_account_that_is_none_is_said():
    with pytest.raises(PlaceError, match="enter the whole JSON file"):
        connect("gcs", {"bucket": BUCKET}, {"service_account": "{}"})
