"""The bell and the page behind it. Only one's own, whoever one is."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import JobExecution, Notification
from jobs.states import Event, Status
from tests.site.support import news, since

PAGE = "/notifications/"


@pytest.fixture
def tell(execution):
    """Tell somebody of an execution of theirs."""

    def telling(user: User, kind: str = "failed", **fields) -> Notification:
        about = fields.pop("execution", None) or execution(user, Status.FAILED)
        return Notification.objects.create(
            user=user, kind=kind, text=f"{kind} things", execution=about, **fields
        )

    return telling


def bell(text: str) -> str:
    return re.search(r'id="bell".*?</a>', text, re.DOTALL)[0]


def test_the_bell_counts_what_is_unread(bobs, bob, tell):
    assert "unread" not in bell(bobs.get("/profiles/").content.decode())
    for kind in ("failed", "stalled"):
        tell(bob, kind)
    tell(bob, read_at=timezone.now())
    for page in ("/", "/executions/", "/profiles/", PAGE):
        assert "Notifications: 2 unread" in bell(bobs.get(page).content.decode())


def test_the_bell_counts_to_ninety_nine(bobs, bob):
    Notification.objects.bulk_create(
        Notification(user=bob, kind="failed", text=str(number)) for number in range(120)
    )
    for page in ("/", "/profiles/"):
        assert "Notifications: 99+ unread" in bell(bobs.get(page).content.decode())


def test_the_bell_moves_with_the_news_of_a_live_page(bobs, bob, tell, execution):
    execution(bob, Status.RUNNING)
    for path in ("/", "/executions/"):
        Notification.objects.all().delete()
        address = since(bobs.get(path).content.decode())
        assert news(bobs, path, address).status_code == 204
        tell(bob)
        answer = news(bobs, path, address)
        assert answer.status_code == 200
        assert "1 unread" in bell(answer.content.decode())
        assert 'hx-swap-oob="true"' in bell(answer.content.decode())


def test_they_are_listed_by_day_newest_first_with_their_executions(bobs, bob, tell):
    old, new = tell(bob, "lost"), tell(bob, "warned")
    Notification.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=1))
    text = bobs.get(PAGE).content.decode()
    assert text.index("Today") < text.index("warned things") < text.index("Yesterday")
    assert text.index("Yesterday") < text.index("lost things")
    assert new.execution.get_absolute_url() in text


def test_they_come_page_by_page(bobs, bob):
    Notification.objects.bulk_create(
        Notification(user=bob, kind="failed", text=f"number {number}.") for number in range(120)
    )
    seen, address = [], PAGE
    while address:
        answer = bobs.get(PAGE + address.removeprefix(PAGE))
        seen += re.findall(r"<p>number (\d+)\.", answer.content.decode())
        address = answer.context["list"].older
    assert seen == [str(number) for number in reversed(range(120))]
    assert bobs.get(PAGE + "?before=x").status_code == 404
    assert bobs.get(PAGE + "?before=1").status_code == 200


def test_the_list_takes_few_queries(bobs, bob, tell, django_assert_max_num_queries):
    for _ in range(20):
        tell(bob)
    with django_assert_max_num_queries(8):
        bobs.get(PAGE)


def test_one_is_read_one_acknowledged_and_all_marked(bobs, bob, tell):
    first, second, third = (tell(bob) for _ in range(3))
    bobs.post(f"{PAGE}{first.pk}/read/")
    bobs.post(f"{PAGE}{second.pk}/acknowledge/")
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.read_at
    assert not first.acknowledged_at
    assert second.read_at
    assert second.acknowledged_at
    assert Notification.objects.unread().get() == third
    bobs.post(f"{PAGE}read/")
    assert not Notification.objects.unread().exists()


def test_what_was_read_keeps_its_time(bobs, bob, tell):
    read_at = timezone.now() - timedelta(hours=3)
    one = tell(bob, read_at=read_at)
    bobs.post(f"{PAGE}{one.pk}/read/")
    bobs.post(f"{PAGE}{one.pk}/acknowledge/")
    one.refresh_from_db()
    assert one.read_at == read_at


def test_those_of_others_do_not_exist_even_for_a_superuser(browser, person, bob, tell):
    one = tell(bob)
    roots = browser(person("root", None, is_superuser=True))
    assert "failed things" not in roots.get(PAGE).content.decode()
    assert "unread" not in bell(roots.get("/").content.decode())
    for asked in ("read", "acknowledge"):
        assert roots.post(f"{PAGE}{one.pk}/{asked}/").status_code == 404
    roots.post(f"{PAGE}read/")
    one.refresh_from_db()
    assert one.read_at is None


def test_opening_its_execution_marks_it_read_for_the_reader_alone(bobs, bob, lead, tell):
    mine = tell(bob)
    other, theirs = tell(bob), tell(lead, execution=mine.execution)
    page = bobs.get(mine.execution.get_absolute_url())
    assert "1 unread" in bell(page.content.decode())
    assert set(Notification.objects.unread()) == {other, theirs}


def test_the_end_of_an_execution_that_one_looks_at_needs_no_bell(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    path = running.get_absolute_url()
    address = since(bobs.get(path).content.decode())
    JobExecution.objects.get(pk=running.pk).transition(Event.FAIL, error="No")
    assert bob.notifications.unread().exists()
    answer = news(bobs, path, address)
    assert "unread" not in bell(answer.content.decode())
    assert not bob.notifications.unread().exists()


def test_what_leads_to_something_that_one_may_no_longer_see_is_text(
    bobs, bob, lead, tell, execution
):
    tell(bob, execution=execution(lead, Status.FAILED))
    text = bobs.get(PAGE).content.decode()
    assert "<p>failed things</p>" in text


def test_reading_needs_a_request_that_says_so(bobs, bob, tell):
    one = tell(bob)
    for address in (f"{PAGE}{one.pk}/read/", f"{PAGE}{one.pk}/acknowledge/", f"{PAGE}read/"):
        assert bobs.get(address).status_code == 405
    assert Notification.objects.unread().exists()


def test_an_empty_page_says_what_one_is_told_of(bobs):
    assert "You are told when something you launched fails" in bobs.get(PAGE).content.decode()
