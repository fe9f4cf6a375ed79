"""Who may choose where files come from and go to: every door asks the same function."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile

from jobs import control
from jobs.definition import InvalidParameters
from jobs.models import Credential, JobExecution, JobProfile, Schedule
from jobs.permissions import Denied
from jobs.states import Status

pytestmark = pytest.mark.django_db

IMPORT = "catalog.product.import"


@pytest.fixture(autouse=True)
def _places(settings, tmp_path: Path) -> None:
    settings.JOBS_FOLDERS = {"feeds": tmp_path, "other": tmp_path}
    settings.JOBS_CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    for name in ("supplier", "partner"):
        control.save_credential(
            Credential(name=name, kind="https"), {"base_url": "https://files.example.org"}
        )


@pytest.fixture
def dora() -> User:
    """Somebody who makes profiles and schedules, but keeps no credentials."""
    user = User.objects.create_user("dora")
    user.groups.add(Group.objects.get(name="Data manager"))
    return user


@pytest.fixture
def kim() -> User:
    user = User.objects.create_user("kim")
    user.groups.add(Group.objects.get(name="Data manager"))
    user.user_permissions.add(Permission.objects.get(codename="manage_credentials"))
    return user


@pytest.fixture
def feed() -> JobProfile:
    return JobProfile.objects.create(
        code="feed", label="Feed", job=IMPORT,
        parameters={"place": "supplier", "path": "products.csv"},
    )  # fmt: skip


def test_whoever_launches_a_profile_uses_its_place(feed, dora):
    launched = control.launch(profile=feed, user=dora)
    assert launched.parameters["place"] == "supplier"
    assert launched.parameters["path"] == "products.csv"


@pytest.mark.parametrize(
    "parameters",
    [
        {"place": "partner"},
        {"place": "folder:feeds"},
        {"path": "other.csv"},
        {"place": "folder:nowhere"},  # what exists is not told either
    ],
)
def test_another_place_or_path_needs_the_right(feed, dora, parameters):
    with pytest.raises(Denied, match="does not allow you to choose a place") as denied:
        control.launch(profile=feed, parameters=parameters, user=dora)
    assert denied.value.decision.needs == "jobs.manage_credentials"
    with pytest.raises(Denied):
        control.launch(job=IMPORT, parameters={"place": "supplier", "path": "a"}, user=dora)
    assert not JobExecution.objects.filter(status=Status.QUEUED).exists()


def test_who_keeps_credentials_may_choose(feed, kim):
    chosen = {"place": "partner", "path": "other.csv"}
    assert (
        control.launch(profile=feed, parameters=chosen, user=kim).parameters["place"] == "partner"
    )


def test_a_path_that_the_profile_leaves_open_is_the_launchers(feed, dora):
    feed.parameters = {"place": "supplier"}
    feed.save()
    launched = control.launch(profile=feed, parameters={"path": "today.csv"}, user=dora)
    assert launched.parameters["path"] == "today.csv"
    with pytest.raises(InvalidParameters, match="Say which file of the place it is"):
        control.launch(profile=feed, user=dora)


def test_a_place_that_is_not_there_is_said(feed, kim):
    with pytest.raises(InvalidParameters, match="There is no place 'folder:nowhere'"):
        control.launch(profile=feed, parameters={"place": "folder:nowhere"}, user=kim)


def test_a_file_and_a_place_exclude_each_other(feed, dora):
    sent = control.upload(ContentFile(b"sku\na\n", name="a.csv"), user=dora)
    with pytest.raises(InvalidParameters, match="fetched from 'supplier': send none"):
        control.launch(profile=feed, parameters={"file": str(sent.pk)}, user=dora)
    own = {"file": str(sent.pk), "place": "", "path": ""}
    assert control.launch(profile=feed, parameters=own, user=dora).files.count() == 1
    with pytest.raises(InvalidParameters, match="Choose a file, or a place"):
        control.launch(job=IMPORT, user=dora)


def test_a_relaunch_keeps_within_what_one_may(feed, dora, kim):
    chosen = control.launch(profile=feed, parameters={"place": "partner"}, user=kim)
    control.stop(chosen)
    JobExecution.objects.filter(pk=chosen.pk).update(user=dora)
    chosen.refresh_from_db()
    with pytest.raises(Denied, match="choose a place"):
        control.relaunch(chosen, by=dora)


def test_a_profile_is_given_a_place_by_those_who_may(feed, dora, kim):
    changed = JobProfile.objects.get(pk=feed.pk)
    changed.parameters = {"place": "partner", "path": "products.csv"}
    with pytest.raises(Denied, match="choose a place"):
        control.check_profile(changed, by=dora)
    control.check_profile(changed, by=kim)
    changed.parameters = feed.parameters | {"encoding": "cp1252"}
    control.check_profile(changed, by=dora)  # the place stays
    changed.parameters = {}
    control.check_profile(changed, by=dora)  # to take it away reaches nothing


def test_a_schedule_reaches_no_further_than_the_person_it_runs_as(feed, dora, kim):
    night = Schedule(
        code="night", label="Night", profile=feed, cron="0 2 * * *", run_as=dora,
        parameters={"place": "partner"},
    )  # fmt: skip
    with pytest.raises(ValidationError, match="choose a place"):
        control.save_schedule(night, by=dora)
    night.parameters = {}
    control.save_schedule(night, by=dora)


def test_profiles_are_changed_over_rest_by_the_same_rule(feed, dora, client):
    client.force_login(dora)
    address = "/api/v1/profiles/feed/"
    etag = client.get(address)["ETag"]
    answer = client.patch(
        address, {"parameters": {"place": "folder:feeds", "path": "a.csv"}},
        content_type="application/json", headers={"If-Match": etag},
    )  # fmt: skip
    assert answer.status_code == 403
    assert "choose a place" in answer.json()["detail"]
    feed.refresh_from_db()
    assert feed.parameters["place"] == "supplier"


def test_the_pages_offer_places_to_those_who_may(feed, dora, kim, client):
    client.force_login(kim)
    page = client.get("/profiles/feed/").content.decode()
    assert "partner (HTTPS)" in page
    assert "Folder feeds of the server" in page
    client.force_login(dora)
    page = client.get("/profiles/feed/").content.decode()
    assert "partner" not in page
    assert "supplier" in page
    JobProfile.objects.filter(pk=feed.pk).update(parameters={})
    assert 'name="place"' not in client.get("/profiles/feed/").content.decode()


def test_where_there_is_no_place_none_is_asked_for(kim, client, settings):
    settings.JOBS_FOLDERS = {}
    Credential.objects.all().delete()
    JobProfile.objects.create(code="sent", label="Sent", job=IMPORT)
    client.force_login(kim)
    for address in ("/profiles/sent/", "/profiles/sent/change/"):
        page = client.get(address).content.decode()
        assert 'name="place"' not in page
        assert 'name="path"' not in page
    assert "Choose a file.</li>" in client.post("/profiles/sent/", {}).content.decode()


def test_a_place_that_is_gone_is_shown_to_those_who_can_choose_another(feed, kim, client, settings):
    settings.JOBS_FOLDERS = {}
    Credential.objects.all().delete()
    client.force_login(kim)
    page = client.get("/profiles/feed/change/").content.decode()
    assert '<option value="supplier" selected>' in page


def test_a_profile_with_a_place_is_launched_from_elsewhere_without_a_file(feed, kim, client):
    client.force_login(kim)
    page = client.get("/profiles/feed/")
    assert "-F file" not in page.context["curl"]
    assert "-d '{\"parameters\": {}}'" in page.context["curl"]
    assert page.context["command_line"] == "python3 manage.py jobs launch feed"
