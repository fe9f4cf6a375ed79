"""The dashboard."""

import datetime as dt

import pytest
from django.utils import timezone

from jobs.models.base import first_id
from jobs.states import Status
from tests.site.support import news, since


def tiles(page):
    return [str(tile.count) for tile in page.context["board"].tiles]


def test_the_tiles_count_what_one_may_see(bobs, leads, bob, lead, execution):
    execution(bob, Status.RUNNING)
    execution(bob, Status.STOPPING)
    execution(bob, Status.QUEUED)
    execution(bob, Status.FAILED)
    execution(lead, Status.COMPLETED)
    assert tiles(bobs.get("/")) == ["2", "1", "1", "0"]
    assert tiles(leads.get("/")) == ["2", "1", "1", "1"]
    assert tiles(leads.get("/?whose=own")) == ["0", "0", "0", "1"]


def test_each_tile_leads_to_the_same_number_of_executions(leads, lead, execution):
    for status in Status:
        execution(lead, status)
    long_ago = timezone.now() - dt.timedelta(days=30)
    execution(lead, Status.FAILED, pk=first_id(long_ago), created_at=long_ago)
    for tile in leads.get("/").context["board"].tiles:
        listed = leads.get(tile.address)
        assert listed.status_code == 200, tile.address
        assert len(listed.context["list"].rows) == tile.count.value, tile.label


def test_only_those_who_see_all_can_choose(bobs, leads):
    assert "My jobs" not in bobs.get("/").content.decode()
    assert "My jobs" in leads.get("/").content.decode()


def test_it_says_how_long_the_oldest_waits(bobs, bob, execution):
    execution(bob, queued_at=timezone.now() - dt.timedelta(minutes=5))
    assert "the oldest for 5 min" in bobs.get("/").content.decode()


def test_what_runs_can_be_stopped_from_it(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    page = bobs.get("/").content.decode()
    assert f"/executions/{running.pk}/stop/?next=%2F" in page


def test_an_empty_dashboard_says_what_to_do(bobs):
    page = bobs.get("/").content.decode()
    assert "Nothing is running." in page
    assert "Choose a profile" in page


def test_it_takes_at_most_eight_queries(
    bobs, bob, execution, worker, django_assert_max_num_queries
):
    for status in [*Status, *Status]:
        execution(bob, status)
    with django_assert_max_num_queries(8):
        bobs.get("/")


def test_a_look_for_news_takes_two_queries_besides_those_of_the_session(
    bobs, bob, execution, django_assert_max_num_queries
):
    execution(bob, Status.RUNNING)
    address = since(bobs.get("/").content.decode())
    with django_assert_max_num_queries(4):  # session, user; rights, look
        assert news(bobs, "/", address).status_code == 204


def test_a_change_brings_the_live_part_alone(bobs, bob, execution):
    execution(bob, Status.RUNNING)
    address = since(bobs.get("/").content.decode())
    execution(bob, Status.RUNNING)
    answer = news(bobs, "/", address)
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith('<div id="live"')


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_read(bobs, method):
    assert getattr(bobs, method)("/").status_code == 405


def test_whoever_has_no_role_is_told_so(browser, person):
    answer = browser(person("nora", None)).get("/")
    assert answer.status_code == 403
    assert "Ask an administrator" in answer.content.decode()
