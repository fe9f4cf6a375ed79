"""Credentials over HTTP: kept by those who may, their secrets written and never read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from jobs import control
from jobs.credentials import NoKey, key_id, rotate, unseal
from jobs.models import Credential, JobProfile
from tests.api.support import Api
from tests.places.servers import PASSWORD, sftp_server, web_server

pytestmark = pytest.mark.django_db

KEY, OLD = Fernet.generate_key().decode(), Fernet.generate_key().decode()
HTTPS = {
    "name": "supplier", "kind": "https", "options": {"base_url": "https://files.example.org"},
    "secret": {"token": PASSWORD},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _with_a_key(settings) -> None:
    settings.JOBS_CREDENTIAL_KEYS = [KEY]


@pytest.fixture
def keeper(person) -> Api:
    return Api(person("kim", "Administrator"))


@pytest.fixture
def supplier(keeper) -> Credential:
    keeper.send("credentials/", HTTPS)
    return Credential.objects.get(name="supplier")


def change(api: Api, name: str, body: dict) -> Any:
    """Change it as whoever has just read it."""
    etag = api.get(f"credentials/{name}/").headers["ETag"]
    return api.send(f"credentials/{name}/", body, method="patch", **{"If-Match": etag})


def test_it_is_made_and_shown_without_its_secret(keeper):
    made = keeper.send("credentials/", HTTPS)
    assert made.status_code == 201
    shown = keeper.get("credentials/supplier/")
    assert shown.json()["options"]["base_url"] == "https://files.example.org"
    assert shown.json()["has_secret"] is True
    assert (shown.json()["changed_by"], shown.json()["key_id"]) == ("kim", key_id(KEY))
    for answer in (made, shown, keeper.get("credentials/")):
        assert PASSWORD not in answer.content.decode()
    kept = Credential.objects.get()
    assert PASSWORD.encode() not in bytes(kept.secret)
    assert unseal(kept) == {"token": PASSWORD}


@pytest.mark.parametrize("role", ["Viewer", "User", "Data manager", "Lead", "Operator", "Auditor"])
def test_only_who_may_keep_credentials_reaches_them(person, supplier, role):
    api = Api(person("other", role))
    api.problem(api.get("credentials/"), 403, "denied")
    api.problem(api.get("credentials/supplier/"), 403, "denied")
    api.problem(api.send("credentials/", HTTPS | {"name": "b"}), 403, "denied")
    api.problem(api.send("credentials/supplier/test/", {}), 403, "denied")
    api.problem(api.delete("credentials/supplier/"), 403, "denied")
    assert Credential.objects.count() == 1


def test_without_a_key_nothing_is_kept(keeper, settings):
    settings.JOBS_CREDENTIAL_KEYS = []
    answer = keeper.send("credentials/", HTTPS)
    assert answer.status_code == 422
    assert "set JOBS_CREDENTIAL_KEYS to a key" in answer.json()["detail"]
    assert not Credential.objects.exists()


def test_a_kept_secret_is_not_shown_to_another_place(keeper, supplier):
    moved = {"options": {"base_url": "https://evil.example.org"}}
    answer = change(keeper, "supplier", moved)
    assert answer.status_code == 422
    assert "base_url changed, and the secret that was kept is not shown" in answer.json()["detail"]
    assert change(keeper, "supplier", moved | {"secret": {"token": "new"}}).status_code == 200
    supplier.refresh_from_db()
    assert unseal(supplier) == {"token": "new"}


def test_a_change_is_made_to_what_was_read(keeper, supplier):
    body = {"secret": {"token": "new"}}
    blind = keeper.send("credentials/supplier/", body, method="patch")
    keeper.problem(blind, 428, "precondition-required")
    assert "Send the credential's ETag" in blind.json()["detail"]
    etag = keeper.get("credentials/supplier/").headers["ETag"]
    assert keeper.get("credentials/supplier/", headers={"If-None-Match": etag}).status_code == 304
    first = keeper.send("credentials/supplier/", body, method="patch", **{"If-Match": etag})
    assert first.headers["ETag"] == keeper.get("credentials/supplier/").headers["ETag"] != etag
    late = {"secret": {"token": "late"}}
    second = keeper.send("credentials/supplier/", late, method="patch", **{"If-Match": etag})
    keeper.problem(second, 412, "precondition-failed")
    supplier.refresh_from_db()
    assert unseal(supplier) == {"token": "new"}


def test_mistakes_are_told_by_field(keeper):
    bad = {"name": "a", "kind": "sftp", "options": {"host": "a b", "fingerprint": "x", "no": 1}}
    errors = keeper.send("credentials/", bad).json()["errors"]
    assert {error["pointer"] for error in errors} == {"/options/no"}
    del bad["options"]["no"]
    errors = keeper.send("credentials/", bad).json()["errors"]
    assert {error["pointer"] for error in errors} == {
        "/options/host", "/options/fingerprint", "/options/user"
    }  # fmt: skip


def test_a_name_is_taken_once(keeper, supplier):
    answer = keeper.send("credentials/", HTTPS)
    assert answer.status_code == 422
    assert "already" in answer.json()["detail"]


def test_the_connection_is_tested_with_a_sentence(keeper, tmp_path: Path):
    with sftp_server(tmp_path) as server:
        options = {
            "host": "127.0.0.1", "port": server.port, "user": "feeds",
            "fingerprint": server.fingerprint,
        }  # fmt: skip
        new = {"name": "feeds", "kind": "sftp", "options": options}
        keeper.send("credentials/", new | {"secret": {"password": PASSWORD}})
        good = keeper.send("credentials/feeds/test/", {}).json()
        assert good == {
            "ok": True,
            "said": "The SFTP server 127.0.0.1 answered with the key that is expected: 0 files lie"
            " there.",
        }
        change(keeper, "feeds", {"secret": {"password": "wrong"}})
        bad = keeper.send("credentials/feeds/test/", {}).json()
    assert bad["ok"] is False
    assert bad["said"].startswith("The SFTP server 127.0.0.1 does not let feeds in.")


def test_a_test_ends_in_time_whatever_the_server_does(keeper, monkeypatch):
    import socket

    monkeypatch.setattr("jobs.control.credentials.TEST_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {"base_url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        keeper.send("credentials/", {"name": "silent", "kind": "https", "options": options})
        said = keeper.send("credentials/silent/test/", {}).json()
    assert said == {"ok": False, "said": "It did not answer within 0.5 s."}


def test_tests_and_changes_are_written_down(keeper, supplier, caplog):
    with web_server() as web, caplog.at_level("INFO", "jobs"):
        moved = {"options": {"base_url": web.url}, "secret": {"token": PASSWORD}}
        change(keeper, "supplier", moved)
        keeper.send("credentials/supplier/test/", {})
        keeper.delete("credentials/supplier/")
    assert "kim changed the credential supplier." in caplog.text
    assert "The credential supplier is used: kim tests the connection." in caplog.text
    assert "kim tested the credential supplier:" in caplog.text
    assert "kim deleted the credential supplier." in caplog.text
    assert PASSWORD not in caplog.text


def test_a_credential_that_a_profile_names_stays(keeper, supplier):
    JobProfile.objects.create(
        code="feed", label="Feed", job="things.import_things", parameters={"place": "supplier"}
    )
    answer = keeper.delete("credentials/supplier/")
    keeper.problem(answer, 409, "refused")
    assert "is used by “Feed”" in answer.json()["detail"]


def test_a_credential_that_something_open_uses_stays(keeper, supplier, execution):
    found = execution(parameters={"place": "supplier"})
    keeper.problem(keeper.delete("credentials/supplier/"), 409, "refused")
    control.stop(found)
    assert keeper.delete("credentials/supplier/").status_code == 204


def test_secrets_move_to_a_new_key_and_the_old_one_may_go(supplier, settings, capsys):
    settings.JOBS_CREDENTIAL_KEYS = [OLD, KEY]
    call_command("jobs", "rotate-credentials")
    assert "1 encrypted anew" in capsys.readouterr().out
    settings.JOBS_CREDENTIAL_KEYS = [OLD]
    supplier.refresh_from_db()
    assert unseal(supplier) == {"token": PASSWORD}
    assert rotate() == 0


def test_a_key_that_is_gone_opens_nothing(supplier, settings):
    settings.JOBS_CREDENTIAL_KEYS = [OLD]
    with pytest.raises(NoKey, match=f"encrypted with the key {key_id(KEY)}, which"):
        unseal(supplier)
    said = control.try_connection(supplier)
    assert not said.ok
    assert "enter the secret again" in said.said


def test_a_key_is_made_by_a_command(capsys):
    call_command("jobs", "credential-key")
    assert Fernet(capsys.readouterr().out.strip())
