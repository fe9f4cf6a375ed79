"""How much starts at once, how often and in what order: claim and dispatch, row by row."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import control, dispatch
from jobs.engine import admission
from jobs.engine.claim import claim
from jobs.engine.recover import take_back
from jobs.engine.versions import fail_unclaimable
from jobs.models import (
    JobExecution,
    JobProfile,
    Maintenance,
    PausedQueue,
    Slot,
    StartRate,
    Worker,
)
from jobs.models.base import ClockNow
from jobs.states import Event, Status
from jobs.waiting import waiting, waiting_for

pytestmark = pytest.mark.django_db

HERE = "here@test"


@pytest.fixture
def nightly() -> JobProfile:
    return JobProfile.objects.create(
        code="nightly", label="Nightly import", job="samples.nap", concurrency=1
    )


def a_worker(name: str = HERE, **fields) -> Worker:
    from jobs.definition import REGISTRY

    known = {job: definition.version() for job, definition in REGISTRY.items()}
    values = {"kind": "worker", "node": "test", "pid": 1, "queues": ["default"], "slots": 4}
    return Worker.objects.create(name=name, **values | {"definitions": known} | fields)


def start(execution: JobExecution) -> JobExecution | None:
    return claim(str(execution.pk), HERE)


def order(queue: str = "default") -> list[JobExecution]:
    """What dispatch would tell the workers now, first to last."""
    chosen = [pk for pk, *_ in dispatch._choose(queue)]
    rows = JobExecution.objects.in_bulk(chosen)
    return [rows[pk] for pk in chosen]


def person(name: str) -> User:
    return User.objects.create_superuser(name)


# --- Limits --------------------------------------------------------------------------------------


def test_of_a_sequential_profile_one_starts(nightly):
    first, second = control.launch(profile=nightly), control.launch(profile=nightly)
    assert first.limits == {"profile:nightly": 1}
    assert start(first).status == Status.RUNNING
    assert start(second) is None
    second.refresh_from_db()
    assert (second.status, second.dispatched_at) == (Status.QUEUED, None)


@pytest.mark.parametrize("event", [Event.COMPLETE, Event.FAIL, Event.TIME_OUT, Event.ABORT])
def test_what_has_ended_holds_no_slot(nightly, event):
    first, second = control.launch(profile=nightly), control.launch(profile=nightly)
    start(first).transition(event)
    assert not first.slots.exists()
    assert start(second)


def test_a_paused_one_gives_its_slot_back_and_needs_it_again(nightly):
    first, second = start(control.launch(profile=nightly)), control.launch(profile=nightly)
    control.pause(first)
    take_back(first, 1, why="it let go", event=Event.RELEASE)
    assert start(second)
    control.resume(first)
    assert start(first) is None


def test_a_crash_keeps_the_slot_for_the_next_attempt(nightly):
    first, second = start(control.launch(profile=nightly)), control.launch(profile=nightly)
    take_back(first, 1, why="it crashed")
    assert start(second) is None
    assert start(first).attempt == 2


def test_every_limit_must_have_room_or_nothing_is_taken(nightly):
    JobProfile.objects.filter(pk=nightly.pk).update(job="samples.pair")
    nightly.refresh_from_db()
    others = [start(control.launch(job="samples.pair")) for _ in range(2)]
    third = control.launch(profile=nightly)
    assert third.limits == {"profile:nightly": 1, "job:samples.pair": 2}
    assert start(third) is None
    assert not third.slots.exists()
    others[0].transition(Event.COMPLETE)
    assert start(third)
    assert sorted(third.slots.values_list("key", flat=True)) == sorted(third.limits)


def test_a_business_key_is_limited_by_itself():
    first = start(control.launch(job="samples.account", parameters={"about": "4711"}))
    other = control.launch(job="samples.account", parameters={"about": "4712"})
    assert first.limits == {"key:samples.account:4711": 1}
    assert start(other)


def test_a_long_business_key_is_kept_apart_from_its_likes():
    keys = [
        next(
            iter(
                control.launch(job="samples.account", parameters={"about": "x" * 300 + end}).limits
            )
        )
        for end in ("1", "2")
    ]
    assert len(set(keys)) == 2
    assert {len(key) for key in keys} == {200}


def test_a_part_of_a_step_takes_none_of_its_parents_limits(nightly):
    parent = start(control.launch(profile=nightly))
    part = JobExecution.objects.create(
        name="Part", job=parent.job, type=parent.type, profile=nightly, parent=parent,
        parent_step="rows", partition=0, partitions=2, queued_at=ClockNow(),
    )  # fmt: skip
    nightly.start_rate = "1/h"
    nightly.concurrency = 2
    nightly.save()
    part.refresh_from_db()
    assert (part.limits, part.start_rates) == ({}, {})
    assert start(part)


def test_a_changed_limit_holds_for_what_is_queued(nightly):
    first, second = start(control.launch(profile=nightly)), control.launch(profile=nightly)
    nightly.concurrency = 2
    nightly.save()
    second.refresh_from_db()
    assert second.limits == {"profile:nightly": 2}
    third = control.launch(profile=nightly)
    assert start(second)
    nightly.concurrency = 1  # two run; nothing starts until both have ended
    nightly.save()
    second.refresh_from_db()
    assert second.limits == {"profile:nightly": 2}
    third.refresh_from_db()
    assert third.limits == {"profile:nightly": 1}
    first.transition(Event.COMPLETE)
    assert start(third) is None
    second.transition(Event.COMPLETE)
    assert start(third)


def test_a_limit_that_comes_later_counts_what_runs_already(nightly):
    nightly.concurrency = None
    nightly.save()
    first, second = start(control.launch(profile=nightly)), control.launch(profile=nightly)
    assert not Slot.objects.exists()
    nightly.concurrency = 1
    nightly.save()
    assert start(second) is None
    nightly.concurrency = None
    nightly.save()
    assert start(second)
    assert not Slot.objects.exists()
    first.refresh_from_db()
    assert first.limits == {}


def most_held(how_many: int = 8) -> int:
    """Claim that many of a job of which two may run, all at once; how many were given a slot."""
    executions = [control.launch(job="samples.pair") for _ in range(how_many)]
    gate, begun = threading.Barrier(how_many), []

    def take(execution: JobExecution) -> None:
        gate.wait()
        try:
            if start(execution):
                begun.append(execution)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(one,)) for one in executions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(begun)


@pytest.mark.django_db(transaction=True)
def test_claims_at_one_moment_get_as_many_slots_as_there_are():
    assert most_held() == 2
    assert sorted(Slot.objects.values_list("number", flat=True)) == [0, 1]


@pytest.mark.django_db(transaction=True)
def test_mutant_without_the_limit_more_are_held(monkeypatch):
    """Proof that the test above can fail: every claim finds a free number."""
    mutant = admission.TAKE.replace("lacking.most - 1)", "99)").replace("< lacking.most", "< 99")
    monkeypatch.setattr(admission, "TAKE", mutant)
    assert most_held() > 2


@pytest.mark.django_db(transaction=True)
def test_without_turns_the_constraint_alone_keeps_the_limit(monkeypatch):
    monkeypatch.setattr(admission, "TURNS", "SELECT %(id)s")
    assert most_held() <= 2


@pytest.mark.django_db(transaction=True)
def test_mutant_without_turns_and_constraint_more_are_held(monkeypatch):
    monkeypatch.setattr(admission, "TURNS", "SELECT %(id)s, pg_sleep(0.05)")
    mutant = admission.TAKE.replace("RETURNING key", "RETURNING key, pg_sleep(0.2)")
    monkeypatch.setattr(admission, "TAKE", mutant)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_slot DROP CONSTRAINT slot_once")
        try:
            assert most_held() > 2
        finally:
            cursor.execute("DELETE FROM jobs_slot")
            cursor.execute("ALTER TABLE jobs_slot ADD CONSTRAINT slot_once UNIQUE (key, number)")


def test_without_limits_a_claim_asks_no_more_than_before():
    """The row, the change of status with its history, and the attempt."""
    execution = control.launch(job="samples.nap")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert start(execution)
    real = [one["sql"] for one in asked if "SAVEPOINT" not in one["sql"]]
    assert len(real) == 6, real
    with CaptureQueriesContext(connection) as asked:
        execution.transition(Event.COMPLETE)
    assert not [one for one in asked if "jobs_slot" in one["sql"]]


def test_the_end_of_a_limited_one_costs_one_statement_more(nightly):
    free, limited = control.launch(job="samples.nap"), control.launch(profile=nightly)
    counts = []
    for execution in (start(free), start(limited)):
        with CaptureQueriesContext(connection) as asked:
            execution.transition(Event.COMPLETE)
        counts.append(len(asked))
    assert counts[1] == counts[0] + 1


# --- Start rates ---------------------------------------------------------------------------------


def test_starts_are_spread_over_the_time(nightly):
    nightly.concurrency, nightly.start_rate = None, "10/m"
    nightly.save()
    first, second = control.launch(profile=nightly), control.launch(profile=nightly)
    assert start(first)
    assert start(second) is None
    second.refresh_from_db()
    wait = (second.retry_at - timezone.now()).total_seconds()
    assert 5 < wait < 6.1
    assert second.reason.startswith("At most 10 starts a minute of “Nightly import”; the next at ")
    assert waiting(second).reason == "start_rate"
    StartRate.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    JobExecution.objects.filter(pk=second.pk).update(retry_at=None)
    assert start(second)
    second.refresh_from_db()
    assert second.reason == ""


def test_only_the_first_start_counts(nightly):
    nightly.start_rate = "1/h"
    nightly.save()
    execution = start(control.launch(profile=nightly))
    take_back(execution, 1, why="it crashed")
    assert start(execution).attempt == 2


def test_who_finds_no_slot_uses_up_no_start(nightly):
    nightly.start_rate = "1/h"
    nightly.save()
    start(control.launch(profile=nightly))
    StartRate.objects.all().delete()
    assert start(control.launch(profile=nightly)) is None
    assert not StartRate.objects.exists()


def test_who_comes_too_early_keeps_no_slot(nightly):
    nightly.concurrency, nightly.start_rate = 2, "1/h"
    nightly.save()
    start(control.launch(profile=nightly))
    second = control.launch(profile=nightly)
    assert start(second) is None
    assert not second.slots.exists()


def test_dispatch_sends_nothing_that_would_be_too_early(nightly):
    nightly.concurrency, nightly.start_rate = None, "1/h"
    nightly.save()
    a_worker()
    start(control.launch(profile=nightly))
    waiting_one = control.launch(profile=nightly)
    free = control.launch(job="samples.nap")
    assert order() == [free]
    assert waiting(waiting_one).text.startswith("At most 1 start an hour of “Nightly import”;")


# --- Order ---------------------------------------------------------------------------------------


def test_priority_first_then_fair_then_age():
    anna, bert = person("anna"), person("bert")
    a_worker(slots=4)
    flood = [control.launch(job="samples.nap", user=anna) for _ in range(20)]
    late = [control.launch(job="samples.nap", user=bert) for _ in range(2)]
    urgent = control.launch(job="samples.nap", user=anna, priority=-1)
    platform = control.launch(job="samples.nap")
    # The urgent one is anna's first, so that her next comes second.
    expected = [urgent, late[0], platform, flood[0], late[1], *flood[1:4]]
    assert order() == expected


def test_who_has_more_at_work_waits_longer():
    anna, bert = person("anna"), person("bert")
    a_worker(slots=4)
    for _ in range(3):
        start(control.launch(job="samples.nap", user=anna))
    hers = control.launch(job="samples.nap", user=anna)
    his = [control.launch(job="samples.nap", user=bert) for _ in range(3)]
    assert order() == [*his, hers]


def test_a_blocked_flood_stands_in_nobodys_way(nightly):
    anna = person("anna")
    a_worker(slots=2)
    start(control.launch(profile=nightly, user=anna))
    for _ in range(30):
        control.launch(profile=nightly, user=anna)
    free = control.launch(job="samples.nap", user=anna)
    assert order() == [free]


def test_one_message_is_sent_for_a_sequential_profile(nightly):
    a_worker(slots=4)
    first, second = control.launch(profile=nightly), control.launch(profile=nightly)
    free = control.launch(job="samples.nap")
    assert order() == [first, free]
    assert order() == []
    assert waiting(second).reason == "queue"


def test_a_crash_keeps_its_place_and_a_resume_goes_to_the_end(nightly):
    a_worker(slots=4)
    first = start(control.launch(job="samples.nap"))
    control.launch(job="samples.nap")
    was = first.queued_at
    take_back(first, 1, why="it crashed")
    first.refresh_from_db()
    assert first.queued_at == was
    control.pause(first)
    control.resume(first)
    assert first.queued_at > was


def test_positions_are_those_of_dispatch():
    anna, bert = person("anna"), person("bert")
    a_worker(slots=1)
    for _ in range(3):
        control.launch(job="samples.nap", user=anna)
    his = control.launch(job="samples.nap", user=bert)
    rows = list(JobExecution.objects.filter(status=Status.QUEUED))
    said = waiting_for(rows)
    assert said[his.pk].text == "2nd in line; 0 of 1 slots are busy."
    told = order()  # two of them
    assert [waiting(one).reason for one in told] == ["starting", "queue"]
    assert waiting(his).text == "2nd in line; 0 of 1 slots are busy."


# --- Aims ----------------------------------------------------------------------------------------


def test_an_aimed_one_is_sent_to_a_node_it_fits():
    a_worker("small@a", node="a", roles=["cpu"])
    a_worker("big@b", node="b", roles=["cpu", "gpu"])
    by_role = control.launch(job="samples.nap", node_roles=["gpu"])
    by_name = control.launch(job="samples.nap", node="a")
    lost = control.launch(job="samples.nap", node="c")
    anywhere = control.launch(job="samples.nap")
    chosen = dispatch._choose("default")
    sent_to = dispatch._destinations("default", chosen)
    assert sent_to == {by_role.pk: "node.b", by_name.pk: "node.a", anywhere.pk: "default"}
    assert waiting(lost).text == "No live worker of the queue “default” is on the node “c”."
    assert waiting(lost).reason == "no_node"


def test_those_aimed_at_roles_spread_over_the_free_nodes():
    a_worker("one@a", node="a", roles=["gpu"], slots=2)
    a_worker("two@b", node="b", roles=["gpu"], slots=2)
    for _ in range(4):
        control.launch(job="samples.nap", node_roles=["gpu"])
    sent_to = dispatch._destinations("default", dispatch._choose("default"))
    assert sorted(sent_to.values()) == ["node.a", "node.a", "node.b", "node.b"]


def test_what_is_aimed_at_a_full_node_fills_no_queue():
    a_worker("one@a", node="a", slots=1)
    a_worker("two@b", node="b", slots=4)
    for _ in range(30):
        control.launch(job="samples.nap", node="a")
    dispatch._choose("default")
    free = [control.launch(job="samples.nap") for _ in range(3)]
    assert order() == free


def test_a_worker_elsewhere_puts_an_aimed_one_back():
    a_worker(HERE, node="a", roles=["cpu"])
    for aims in ({"node": "b"}, {"node_roles": ["cpu", "gpu"]}):
        execution = control.launch(job="samples.nap", **aims)
        dispatch._choose("default")
        assert start(execution) is None
        execution.refresh_from_db()
        assert execution.dispatched_at is None
    assert start(control.launch(job="samples.nap", node="a", node_roles=["cpu"]))


def test_a_profile_aims_its_launches(nightly):
    nightly.node, nightly.node_roles = "a", ["cpu"]
    nightly.save()
    execution = control.launch(profile=nightly)
    assert (execution.aimed_node, execution.aimed_roles) == ("a", ["cpu"])
    execution = control.launch(profile=nightly, node="", node_roles=[])
    assert (execution.aimed_node, execution.aimed_roles) == ("", [])


# --- Held back by people, rights, versions -------------------------------------------------------


def test_a_paused_queue_starts_nothing():
    a_worker()
    execution = control.launch(job="samples.nap")
    paused = PausedQueue.objects.create(name="default", by=person("olga"), reason="New disks.")
    assert order() == []
    assert start(execution) is None
    assert waiting(execution).text == "The queue “default” is paused by olga: New disks."
    paused.delete()
    assert order() == [execution]
    assert start(execution)


def test_maintenance_starts_nothing():
    a_worker()
    execution = control.launch(job="samples.nap")
    Maintenance.objects.create(reason="The database moves.")
    assert order() == []
    assert start(execution) is None
    assert waiting(execution).text == "Maintenance: The database moves."


def test_a_draining_worker_counts_and_takes_nothing():
    worker = a_worker(drain_requested_at=timezone.now())
    execution = control.launch(job="samples.nap")
    assert order() == []
    assert start(execution) is None
    said = "The workers of the queue “default” are told to take nothing more."
    assert waiting(execution).text == said
    Worker.objects.filter(pk=worker.pk).update(drain_requested_at=None)
    assert start(execution)


def test_a_worker_long_gone_is_said_with_its_time():
    worker = a_worker()
    Worker.objects.filter(pk=worker.pk).update(seen_at=timezone.now() - timedelta(seconds=60))
    execution = control.launch(job="samples.nap")
    assert waiting(execution).text.startswith("No worker is on the queue “default” since ")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("gone", "The account of anna is gone. It was not started."),
        ("disabled", "The account of anna is disabled. It was not started."),
    ],
)
def test_who_launched_it_must_still_be_there(what, said):
    anna = person("anna")
    execution = control.launch(job="samples.nap", user=anna)
    if what == "gone":
        anna.delete()
    else:
        User.objects.update(is_active=False)
    assert start(execution) is None
    execution.refresh_from_db()
    assert (execution.status, execution.error) == (Status.FAILED, said)


def interrupted(settings, version: str) -> JobExecution:
    settings.JOBS_VERSION_WAIT_SECONDS = 600
    execution = start(control.launch(job="samples.nap"))
    take_back(execution, 1, why="its worker shuts down", event=Event.RELEASE)
    JobExecution.objects.filter(pk=execution.pk).update(job_version=version)
    long_ago = timezone.now() - timedelta(hours=1)
    JobExecution.objects.filter(pk=execution.pk).update(queued_at=long_ago)
    execution.attempts.update(started_at=long_ago, ended_at=long_ago)
    execution.refresh_from_db()
    return execution


def test_what_began_with_code_that_is_gone_fails_after_a_while(settings):
    execution = interrupted(settings, "0ld")
    fail_unclaimable()
    execution.refresh_from_db()
    assert execution.status == Status.QUEUED, "nobody is missed while no worker is up"
    worker = a_worker(started_at=timezone.now() - timedelta(minutes=5))
    assert waiting(execution).text == "No live worker has the version that it began with."
    fail_unclaimable()
    execution.refresh_from_db()
    assert execution.status == Status.QUEUED, "the other workers are up for five minutes only"
    Worker.objects.filter(pk=worker.pk).update(started_at=timezone.now() - timedelta(minutes=11))
    fail_unclaimable()
    execution.refresh_from_db()
    assert execution.status == Status.FAILED
    assert execution.error.startswith(
        "It began with version 0ld of “Nap”; no worker has that version"
    )


def test_while_one_worker_has_the_version_it_waits(settings):
    execution = interrupted(settings, "0ld")
    hour = timezone.now() - timedelta(hours=1)
    a_worker(started_at=hour)
    a_worker("old@test", started_at=hour, definitions={"samples.nap": "0ld"})
    fail_unclaimable()
    execution.refresh_from_db()
    assert execution.status == Status.QUEUED
    old = Worker.objects.filter(name="old@test")
    old.update(seen_at=timezone.now() - timedelta(minutes=3))  # it may come back
    fail_unclaimable()
    execution.refresh_from_db()
    assert execution.status == Status.QUEUED


# --- Why it waits --------------------------------------------------------------------------------


def test_who_has_the_slot_is_said(nightly):
    a_worker()
    first, second = start(control.launch(profile=nightly)), control.launch(profile=nightly)
    found = waiting(second)
    since = f"{timezone.localtime(first.started_at):%H:%M}"
    assert found.text == f"Waits for “Nightly import” (running since {since}), one at a time."
    assert (found.reason, found.holder) == ("limit", first.pk)


def test_children_and_sections_are_said():
    parent = start(control.launch(job="samples.nap"))
    for _ in range(3):
        control.launch(job="samples.nap", parent=parent)
    start(parent.children.first()).transition(Event.COMPLETE)
    parent.transition(Event.JOIN)
    assert waiting(parent).text == "Waiting for 2 of 3 children."
    other = start(control.launch(job="samples.nap"))
    control.stop(other)
    JobExecution.objects.filter(pk=other.pk).update(section="Post to ledger")
    other.refresh_from_db()
    assert waiting(other).text == "Stops when “Post to ledger” is done."


def test_a_page_of_rows_asks_twice_at_most(nightly, django_assert_max_num_queries):
    a_worker()
    for queue in ("default", "io"):
        for _ in range(5):
            execution = control.launch(job="samples.nap")
            JobExecution.objects.filter(pk=execution.pk).update(queue=queue)
    rows = list(JobExecution.objects.select_related("profile"))
    with django_assert_max_num_queries(2):
        assert len(waiting_for(rows)) == 10
