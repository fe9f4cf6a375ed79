"""No place leads to what only this machine reaches, unless the settings name the host."""

from __future__ import annotations

import socket
import traceback
from typing import Any

import pytest

from jobs.places import KINDS, PlaceError, Unavailable, connect, guard
from tests.places.clouds import service_account
from tests.places.servers import WebServer

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1",
    "192.168.1.1", "100.64.0.1", "[fd00::1]", "0.0.0.0", "0x7f000001", "2130706433", "localhost",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_host_is_ours(settings) -> None:
    settings.JOBS_PLACE_HOSTS = []


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_not_reached_by_http(host: str):
    with pytest.raises(PlaceError, match="an address of a private network"):
        connect("https", {"base_url": f"https://{host}"}, {}).test()


@pytest.mark.parametrize("host", [host.strip("[]") for host in PRIVATE])
def test_a_private_address_is_not_reached_by_ssh(host: str):
    options = {"host": host, "port": 22, "user": "a", "fingerprint": "SHA256:" + "A" * 43}
    with pytest.raises(PlaceError, match="an address of a private network"):
        connect("sftp", options, {"password": "x"}).test()


@pytest.mark.parametrize("host", ["169.254.169.254", "localhost"])
@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
def test_an_endpoint_leads_nowhere_private(kind: str, host: str):
    options = {
        "s3": {"bucket": "b", "access_key": "k"},
        "azure": {"account": "a", "container": "c"},
        "gcs": {"bucket": "b"},
    }[kind] | {"endpoint": f"https://{host}"}
    url = f"https://{host}"
    secret = {
        "secret_key": "s", "account_key": "a2V5",
        "service_account": service_account(url) if kind == "gcs" else "",
    }  # fmt: skip
    with pytest.raises(PlaceError, match="an address of a private network"):
        connect(kind, options, secret).test()


def test_without_tls_only_our_own_hosts_are_reached(web: WebServer, settings):
    place = connect("https", {"base_url": web.url}, {})
    with pytest.raises(PlaceError, match="would be reached without TLS"):
        place.test()
    assert not web.asked
    settings.JOBS_PLACE_HOSTS = ["127.0.0.1"]
    assert "answered" in place.test()


def test_a_host_that_only_begins_like_ours_is_not_ours(settings):
    settings.JOBS_PLACE_HOSTS = ["127.0.0.1"]
    assert guard.is_ours("127.0.0.1")
    assert not guard.is_ours("127.0.0.1.example.org")
    session = guard.GuardedSession()
    plain = session.get_adapter("http://127.0.0.1:8000/a")
    for url in ("http://127.0.0.1.example.org/", "http://127.0.0.1@10.0.0.1/"):
        assert session.get_adapter(url) is not plain


@pytest.mark.parametrize("kind", ["https", "sftp"])
def test_a_name_that_changes_its_address_is_resolved_once(kind: str, monkeypatch):
    """First a public address, then the own one: what was checked is what is connected to."""
    asked, connected = [], []
    resolve = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "rebind.example.org":
            return resolve(host, port, *args, **options)
        asked.append(host)
        return resolve("93.184.216.34" if len(asked) == 1 else "127.0.0.1", port, *args, **options)

    def note(_: socket.socket, address: Any) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError(111, "not here")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket.socket, "connect", note)
    if kind == "https":
        place = connect("https", {"base_url": "https://rebind.example.org"}, {})
    else:
        options = {"host": "rebind.example.org", "user": "a", "fingerprint": "SHA256:x"}
        place = connect("sftp", options, {"password": "x"})
    with pytest.raises(Unavailable):
        place.test()
    assert (asked, connected) == (["rebind.example.org"], ["93.184.216.34"])


def test_a_proxy_of_the_environment_is_not_used(web: WebServer, settings, monkeypatch):
    settings.JOBS_PLACE_HOSTS = ["127.0.0.1"]
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert "answered" in connect("https", {"base_url": web.url}, {}).test()


@pytest.mark.parametrize("kind", ["azure", "https"])
def test_what_goes_wrong_tells_no_token(kind: str, settings):
    settings.JOBS_PLACE_HOSTS = ["127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    if kind == "azure":
        options = {"account": "a", "container": "c", "endpoint": url}
        place = connect("azure", options, {"sas_token": "sv=2024&sig=the-secret-of-it"})
    else:
        place = connect("https", {"base_url": url}, {"token": "the-secret-of-it\nand more"})
    with pytest.raises((PlaceError, Unavailable)) as raised:
        place.test()
    told = "".join(traceback.format_exception(raised.value))
    assert "the-secret-of-it" not in told


@pytest.mark.parametrize("token", ["two\nlines", "snow ☃", " begins with a space"])
def test_a_token_that_no_header_can_hold_is_refused_without_being_told(token: str):
    form = KINDS["https"].form({"base_url": "https://a.example.org", "token": f"{token} s3cret"})
    form.fields["token"].strip = False
    assert not form.is_valid()
    assert "s3cret" not in str(form.errors["token"].as_text())
