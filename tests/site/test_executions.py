"""The Process Tracker's list."""

import pytest
from django.utils import timezone

from jobs.models import JobExecution
from jobs.states import Group, Status
from tests.site.support import news, since
from tracker.queries import look as look_module

LIST = "/executions/"


def names(answer):
    return [row.execution.name for row in answer.context["list"].rows]


def test_one_sees_ones_own_and_with_the_permission_everybodys(bobs, leads, bob, lead, execution):
    execution(bob, name="bob's")
    execution(lead, name="lead's")
    assert names(bobs.get(LIST)) == ["bob's"]
    assert names(leads.get(LIST)) == ["lead's", "bob's"]


def test_only_those_who_see_all_can_filter_by_user(bobs, leads, bob, execution):
    execution(bob)
    assert 'name="user"' not in bobs.get(LIST).content.decode()
    assert 'name="user"' in leads.get(LIST).content.decode()
    assert len(names(leads.get(LIST + "?user=bob"))) == 1
    assert names(leads.get(LIST + "?user=me")) == []


def test_the_tabs_count_the_groups_under_the_other_filters(leads, bob, execution):
    execution(bob, Status.RUNNING)
    execution(bob, Status.FAILED)
    execution(bob, Status.FAILED, type="export")
    page = leads.get(LIST + "?type=import&group=failed").context["list"]
    counts = {tab.label: str(tab.count) for tab in page.tabs}
    assert counts["All"] == "2"
    assert counts["Failed"] == "1"
    assert counts["Active"] == "1"
    assert [tab.label for tab in page.tabs if tab.is_current] == ["Failed"]


def test_the_tabs_do_not_count_what_no_index_counts(bobs, leads, bob, execution):
    execution(bob)
    for client, address in ((leads, "?name=Import"), (leads, "?type=import&user=bob"),
                            (bobs, "?type=import")):  # fmt: skip
        page = client.get(LIST + address).context["list"]
        assert [tab.count for tab in page.tabs] == [None] * 9
        assert len(page.rows) == 1
        assert page.is_alive


def test_every_status_is_under_exactly_one_tab(bobs, bob, execution):
    for status in Status:
        execution(bob, status, name=status)
    under = [name for group in Group for name in names(bobs.get(f"{LIST}?group={group}"))]
    assert sorted(under) == sorted(Status.values)


def test_counts_beyond_the_cap_are_said_to_be_more(bobs, bob, execution, monkeypatch):
    monkeypatch.setattr(look_module, "CAP", 2)
    for _ in range(4):
        execution(bob, Status.COMPLETED)
    tabs = {tab.name: str(tab.count) for tab in bobs.get(LIST).context["list"].tabs}
    assert tabs["succeeded"] == "2+"
    assert tabs[""] == "2+"


def test_pages_are_turned_by_id_without_loss_or_repetition(bobs, bob):
    JobExecution.objects.bulk_create(
        JobExecution(name=f"{number}", job="x", type="import", user=bob) for number in range(60)
    )
    seen, address = [], ""
    while True:
        page = bobs.get(LIST + address).context["list"]
        seen += [row.execution.name for row in page.rows]
        if not page.older:
            break
        address = page.older
    assert len(seen) == len(set(seen)) == 60
    back = bobs.get(LIST + page.newer).context["list"]
    assert [row.execution.name for row in back.rows] == seen[25:50]
    assert bobs.get(LIST + back.newer).context["list"].newer == ""


def test_the_filters_stay_in_the_address(bobs, bob, execution):
    for _ in range(30):
        execution(bob, Status.FAILED, name="thing")
    page = bobs.get(LIST + "?name=thing&group=failed").context["list"]
    assert "name=thing" in page.older
    assert "group=failed" in page.older
    assert "name=thing" in page.live_address
    assert all("name=thing" in tab.address for tab in page.tabs)


def test_a_filter_without_an_input_is_shown_and_can_be_dropped(bobs, bob, profile, execution):
    execution(bob, profile=profile)
    page = bobs.get(LIST + "?profile=things&name=Import")
    assert "profile: <strong>things</strong>" in page.content.decode()
    assert [chip.address for chip in page.context["list"].others] == ["?name=Import"]


@pytest.mark.parametrize(
    "address",
    ["?colour=red", "?status=purple", "?group=all", "?before=12", "?created_after=yesterday"],
)
def test_a_filter_that_does_not_exist_is_said_so(bobs, address):
    answer = bobs.get(LIST + address)
    assert answer.status_code == 400
    assert "Filters that exist" in answer.content.decode()


def test_a_waiting_row_says_why(bobs, bob, execution, worker):
    execution(bob)
    execution(bob)
    page = bobs.get(LIST).content.decode()
    assert "Next in line; a worker is about to take it." in page
    assert "2nd in line; 0 of 4 slots are busy." in page


def test_a_row_that_may_not_be_stopped_says_why(browser, person, bob, execution):
    execution(bob, Status.RUNNING)
    page = browser(person("vera", "Viewer")).get(LIST).content.decode()
    assert "Your role does not allow you to stop jobs of other people." in page
    assert "/stop/" not in page


def test_a_finished_row_has_no_stop(bobs, bob, execution):
    execution(bob, Status.COMPLETED)
    assert "Stop Import things" not in bobs.get(LIST).content.decode()


def test_names_are_shown_as_text(bobs, bob, execution):
    execution(bob, name="<script>alert(1)</script>")
    page = bobs.get(LIST).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_it_takes_at_most_eight_queries(
    leads, bob, execution, worker, profile, django_assert_max_num_queries
):
    for status in [*Status, *Status]:
        execution(bob, status, profile=profile)
    with django_assert_max_num_queries(8):
        page = leads.get(LIST)
    assert len(names(page)) == 25


def test_a_look_for_news_takes_two_queries_besides_those_of_the_session(
    bobs, bob, execution, django_assert_max_num_queries
):
    execution(bob, Status.RUNNING)
    address = since(bobs.get(LIST).content.decode())
    with django_assert_max_num_queries(4):  # session, user; rights, look
        assert news(bobs, LIST, address).status_code == 204


def test_a_new_version_of_a_row_is_news(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    address = since(bobs.get(LIST).content.decode())
    JobExecution.objects.filter(pk=running.pk).update(version=running.version + 1)
    answer = news(bobs, LIST, address)
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith('<section id="live"')
    assert since(answer.content.decode()) != address


def test_it_asks_for_news_only_while_something_is_alive(bobs, bob, execution):
    finished = execution(bob, Status.COMPLETED)
    assert "data-live=" not in bobs.get(LIST).content.decode()
    execution(bob, Status.RUNNING)
    assert "data-live=" in bobs.get(LIST).content.decode()
    assert "data-live=" not in bobs.get(f"{LIST}?search={finished.pk}").content.decode()


def test_an_empty_list_says_what_to_do(bobs):
    assert "Nothing here yet." in bobs.get(LIST).content.decode()
    assert "Clear the filters" in bobs.get(LIST + "?name=zzz").content.decode()


def test_it_is_only_read(bobs):
    assert bobs.post(LIST).status_code == 405


def test_nobody_else_gets_in(client, browser, person):
    assert client.get(LIST).status_code == 302
    assert browser(person("nora", None)).get(LIST).status_code == 403


def test_progress_is_told_in_words(bobs, bob, execution):
    begun = timezone.now() - timezone.timedelta(seconds=60)
    execution(bob, Status.RUNNING, started_at=begun, done=500)
    execution(bob, Status.COMPLETED, done=1000)
    page = bobs.get(LIST).content.decode()
    assert "50 %, about 1 min left" in page
    assert "1,000 items" in page


def test_a_row_that_failed_says_why(bobs, bob, execution):
    execution(bob, Status.FAILED, error="The file has no column “sku”.", done=0)
    assert "The file has no column “sku”." in bobs.get(LIST).content.decode()


def test_a_row_that_was_stopped_says_how_far_it_came(bobs, bob, execution):
    stopped = execution(bob, Status.STOPPED)
    stopped.steps.update(status="stopped")
    assert "41 %, 412 items" in bobs.get(LIST).content.decode()


def test_dry_runs_are_told_from_real_ones(bobs, bob, execution):
    execution(bob, Status.COMPLETED)
    assert "Dry run" not in bobs.get(LIST).content.decode()
    execution(bob, Status.COMPLETED, dry_run=True)
    assert bobs.get(LIST).content.decode().count("Dry run</span>") == 1
