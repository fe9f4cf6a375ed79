"""The table of moves."""

import pytest

from jobs.states import (
    FINISHED,
    GROUPS,
    HELD,
    MOVES,
    OPEN,
    PEER_WORDS,
    Event,
    Group,
    Status,
    allowed,
    group_of,
    move,
    outcome_of,
)


def test_every_status_can_be_reached():
    reached = {Status.DEFERRED}
    for _ in Status:
        reached |= {new for moves in MOVES.values() for old, new in moves.items() if old in reached}
    assert reached == set(Status)


def test_every_status_is_in_one_group():
    assert sorted(status for members in GROUPS.values() for status in members) == sorted(Status)
    assert group_of(Status.JOINING) == Group.ACTIVE


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_nothing_happens_to_what_is_finished(status):
    assert not allowed(status)


@pytest.mark.parametrize("status", sorted(OPEN))
def test_what_is_open_can_be_aborted(status):
    assert move(Event.ABORT, status) == Status.ABORTED


@pytest.mark.parametrize("status", sorted(OPEN - {Status.STOPPING}))
def test_what_is_open_can_be_stopped(status):
    assert move(Event.STOP, status) in {Status.STOPPED, Status.STOPPING}


@pytest.mark.parametrize("status", sorted(HELD))
def test_a_worker_can_always_let_go_and_always_end(status):
    assert move(Event.RELEASE, status) in {Status.QUEUED, Status.PAUSED, Status.STOPPED}
    for event in (Event.COMPLETE, Event.FAIL, Event.LOSE, Event.TIME_OUT):
        assert move(event, status) in FINISHED


def test_outcomes():
    assert outcome_of(Status.RUNNING, 0) is None
    assert outcome_of(Status.COMPLETED, 0) == "succeeded"
    assert outcome_of(Status.COMPLETED, 2) == "warned"
    assert outcome_of(Status.EXPIRED, 0) == "expired"


def test_words_of_other_systems():
    assert PEER_WORDS["error"] == {Status.FAILED, Status.LOST}
    assert all(words <= set(Status) for words in PEER_WORDS.values())
