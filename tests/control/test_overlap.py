"""A launch while as many executions are open as may run at once: queue, skip, reject, replace."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection

from jobs import control
from jobs.control import overlap
from jobs.models import JobExecution, JobProfile
from jobs.states import Event, Overlap, Status
from tests.control.test_limits import start

pytestmark = pytest.mark.django_db


def profile(policy: Overlap, most: int = 1) -> JobProfile:
    return JobProfile.objects.create(
        code="nightly",
        label="Nightly import",
        job="samples.nap",
        concurrency=most,
        overlap=policy,
    )


def person(name: str, role: str = "User") -> User:
    user = User.objects.create_user(name)
    user.groups.add(Group.objects.get(name=role))
    return user


def test_queue_launches_another_that_waits():
    nightly = profile(Overlap.QUEUE)
    assert control.launch(profile=nightly).pk != control.launch(profile=nightly).pk


def test_skip_returns_the_oldest_open_one():
    nightly = profile(Overlap.SKIP, most=2)
    first, second = control.launch(profile=nightly), control.launch(profile=nightly)
    assert first.pk != second.pk
    start(second)
    third = control.launch(profile=nightly)
    assert (third.pk, third.skipped) == (first.pk, True)
    control.stop(first)
    assert not control.launch(profile=nightly).skipped


def test_reject_names_the_open_one():
    nightly = profile(Overlap.REJECT)
    first = control.launch(profile=nightly)
    with pytest.raises(control.Overlapping, match="“Nightly import” is queued since") as refused:
        control.launch(profile=nightly)
    assert refused.value.execution == first
    assert JobExecution.objects.count() == 1


def test_replace_stops_the_open_ones_and_waits_behind_them():
    nightly = profile(Overlap.REPLACE, most=2)
    anna = person("anna")
    running, queued = (control.launch(profile=nightly, user=anna) for _ in range(2))
    start(running)
    newer = control.launch(profile=nightly, user=anna)
    for one in (running, queued):
        one.refresh_from_db()
        assert one.history.last().reason == "Replaced by a newer launch."
    assert (running.status, queued.status) == (Status.STOPPING, Status.STOPPED)
    assert newer.status == Status.QUEUED


def test_whoever_may_not_stop_the_open_one_does_not_replace_it():
    nightly = profile(Overlap.REPLACE)
    first = control.launch(profile=nightly, user=person("anna"))
    with pytest.raises(control.Denied):
        control.launch(profile=nightly, user=person("bert"))
    first.refresh_from_db()
    assert first.status == Status.QUEUED
    assert JobExecution.objects.count() == 1


@pytest.mark.parametrize("policy", [Overlap.SKIP, Overlap.REJECT])
def test_what_one_may_not_see_is_not_shown(policy):
    nightly = profile(policy)
    control.launch(profile=nightly, user=person("anna"), name="Anna's secret")
    with pytest.raises(control.Overlapping, match="As many are open as may run at once") as refused:
        control.launch(profile=nightly, user=person("bert"))
    assert refused.value.execution is None


@pytest.mark.parametrize("rests", ["paused", "deferred"])
def test_what_rests_is_in_nobodys_way(rests):
    nightly = profile(Overlap.REJECT)
    first = control.launch(profile=nightly, deferred=rests == "deferred")
    if rests == "paused":
        control.pause(first)
    assert control.launch(profile=nightly).status == Status.QUEUED


def test_a_deferred_launch_is_not_refused():
    nightly = profile(Overlap.REJECT)
    control.launch(profile=nightly)
    assert control.launch(profile=nightly, deferred=True).status == Status.DEFERRED


def test_a_jobs_own_policy_counts_by_its_key():
    first = control.launch(job="samples.account", parameters={"about": "4711"})
    assert control.launch(job="samples.account", parameters={"about": "4711"}).skipped
    assert not control.launch(job="samples.account", parameters={"about": "4712"}).skipped
    start(first).transition(Event.COMPLETE)
    assert not control.launch(job="samples.account", parameters={"about": "4711"}).skipped


def test_a_launch_may_say_its_own_policy():
    nightly = profile(Overlap.QUEUE)
    first = control.launch(profile=nightly)
    assert control.launch(profile=nightly, overlap="skip") == first


def test_the_same_request_again_is_a_replay_and_no_overlap():
    nightly = profile(Overlap.REJECT)
    anna = person("anna")
    first = control.launch(profile=nightly, user=anna, idempotency_key="k")
    again = control.launch(profile=nightly, user=anna, idempotency_key="k")
    assert (again.pk, again.replayed) == (first.pk, True)


def launched_at_once(how_many: int) -> int:
    nightly = profile(Overlap.REJECT)
    gate = threading.Barrier(how_many)

    def click() -> None:
        gate.wait()
        try:
            control.launch(profile=nightly)
        except control.Overlapping:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(how_many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return JobExecution.objects.count()


@pytest.mark.django_db(transaction=True)
def test_of_launches_at_one_moment_one_passes():
    assert launched_at_once(6) == 1


@pytest.mark.django_db(transaction=True)
def test_mutant_without_turns_more_pass(monkeypatch):
    """Proof that the test above can fail."""
    heed = overlap.heed

    def late(execution, policy):
        found = heed(execution, policy)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.3)")
        return found

    monkeypatch.setattr(overlap, "take_turn", lambda _: None)
    monkeypatch.setattr(overlap, "heed", late)
    assert launched_at_once(3) > 1


def test_the_command_line_says_that_nothing_was_launched(capsys):
    first = control.launch(profile=profile(Overlap.SKIP))
    call_command("jobs", "launch", "nightly")
    said = capsys.readouterr()
    assert said.out.strip() == str(first.pk)
    assert "Nothing was launched" in said.err
