"""Launching: parameters, files, rights, and the same request twice."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.db import connection

from jobs import control
from jobs.definition import InvalidParameters, UnknownJob
from jobs.models import JobExecution, JobProfile, ProfileGrant, Upload
from jobs.permissions import Denied
from jobs.states import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def julia() -> User:
    user = User.objects.create_user("julia")
    user.groups.add(Group.objects.get(name="User"))
    return user


@pytest.fixture
def profile() -> JobProfile:
    return JobProfile.objects.create(
        code="count", label="Count rows", job="samples.function", parameters={"rows": 7}
    )


def test_a_launch_is_queued_with_its_history(julia, profile):
    execution = control.launch(profile=profile, user=julia, trigger="web", note="For Peter")
    assert (execution.status, execution.name) == (Status.QUEUED, "Count rows")
    assert execution.parameters == {"rows": 7, "pause": 0.0}
    assert execution.profile_version == profile.version
    assert execution.job_version == profile.definition.version()
    first = execution.history.get()
    assert (first.event, first.before, first.after, first.by) == ("launch", "", "queued", julia)


def test_given_parameters_lie_over_the_profiles(profile):
    assert control.launch(profile=profile, parameters={"rows": 9}).parameters["rows"] == 9


def test_a_locked_parameter_is_refused(profile):
    profile.locked = ["rows"]
    profile.save()
    with pytest.raises(InvalidParameters, match="locked by the profile"):
        control.launch(profile=profile, parameters={"rows": 9})
    assert control.launch(profile=profile, parameters={"rows": 7}).parameters["rows"] == 7


def test_unknown_and_wrong_parameters_are_named(profile):
    with pytest.raises(InvalidParameters) as caught:
        control.launch(profile=profile, parameters={"rowz": 9})
    assert "There is no parameter 'rowz'" in str(caught.value)
    with pytest.raises(InvalidParameters) as caught:
        control.launch(profile=profile, parameters={"rows": "many"})
    assert list(caught.value.errors) == ["rows"]
    assert not JobExecution.objects.exists()


def test_a_disabled_profile_launches_nothing(profile):
    profile.enabled = False
    profile.save()
    with pytest.raises(control.ProfileDisabled, match="Count rows"):
        control.launch(profile=profile)


def test_a_job_that_is_not_installed():
    with pytest.raises(UnknownJob, match="no job named"):
        control.launch(job="old.one")


def test_a_viewer_launches_nothing(profile):
    viewer = User.objects.create_user("sandra")
    viewer.groups.add(Group.objects.get(name="Viewer"))
    with pytest.raises(Denied) as caught:
        control.launch(profile=profile, user=viewer)
    assert caught.value.decision.needs == "jobs.launch_other"


def test_a_grant_narrows_a_profile_to_its_groups(julia, profile):
    ProfileGrant.objects.create(profile=profile, group=Group.objects.get(name="Lead"), launch=True)
    with pytest.raises(Denied):
        control.launch(profile=profile, user=julia)
    ProfileGrant.objects.create(profile=profile, group=Group.objects.get(name="User"), launch=True)
    assert control.launch(profile=profile, user=julia)


def test_the_same_key_launches_once(julia, profile):
    first = control.launch(profile=profile, user=julia, idempotency_key="k1")
    again = control.launch(profile=profile, user=julia, idempotency_key="k1")
    assert (first.replayed, again.replayed) == (False, True)
    assert first.pk == again.pk
    with pytest.raises(control.IdempotencyMismatch):
        control.launch(profile=profile, parameters={"rows": 1}, user=julia, idempotency_key="k1")


def test_the_same_key_of_two_people_launches_twice(julia, profile):
    other = User.objects.create_superuser("root")
    first = control.launch(profile=profile, user=julia, idempotency_key="k1")
    assert control.launch(profile=profile, user=other, idempotency_key="k1").pk != first.pk


def test_an_upload_of_somebody_else_cannot_be_launched(julia):
    theirs = control.upload(ContentFile(b"code\nx\n", name="a.csv"), user=None)
    with pytest.raises(InvalidParameters, match="no upload"):
        control.launch(
            job="catalog.category.import", parameters={"file": str(theirs.pk)}, user=julia
        )
    with pytest.raises(InvalidParameters, match="no upload"):
        control.launch(job="catalog.category.import", parameters={"file": "../etc/passwd"})


def test_two_uploads_of_one_name_do_not_meet(julia):
    first = control.upload(ContentFile(b"one", name="../../a.csv"), user=julia)
    second = control.upload(ContentFile(b"two", name="../../a.csv"), user=julia)
    assert first.name == second.name == "a.csv"
    assert first.file.name != second.file.name
    with first.file.open("rb") as content:
        assert content.read() == b"one"
    assert ".." not in first.file.name


def test_the_version_of_a_profile_rises_with_what_a_launch_feels(profile):
    profile.description = "Says more."
    profile.save()
    assert profile.version == 1
    profile.parameters = {"rows": 8}
    profile.save()
    assert profile.version == 2


@pytest.mark.django_db(transaction=True)
def test_a_key_used_twice_at_once_launches_once():
    profile = JobProfile.objects.create(code="count", label="Count", job="samples.function")
    user = User.objects.create_superuser("root")
    made, gate = [], threading.Barrier(4)

    def click() -> None:
        gate.wait()
        try:
            made.append(control.launch(profile=profile, user=user, idempotency_key="click").pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == JobExecution.objects.count() == 1


def test_an_unknown_upload_is_refused():
    with pytest.raises(InvalidParameters):
        control.launch(job="catalog.category.import", parameters={"file": str(uuid.uuid4())})
    assert not Upload.objects.exists()


@pytest.mark.parametrize(("given", "is_dry"), [("false", False), ("0", False), (True, True)])
def test_a_launch_is_dry_only_where_its_job_runs_dry(given, is_dry):
    file = control.upload(ContentFile(b"sku\na\n", name="p.csv"), user=None)
    parameters = {"file": str(file.pk), "dry_run": given}
    execution = control.launch(job="catalog.product.import", parameters=parameters)
    assert execution.dry_run is is_dry
