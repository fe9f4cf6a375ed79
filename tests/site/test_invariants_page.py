"""The admin's page of invariants: who opens it, what it shows, and its two buttons."""

import pytest
from django.test import Client
from django.utils import timezone

from jobs.invariants import INVARIANTS, look_and_keep
from jobs.models import InvariantCheck, JobExecution
from jobs.states import Status

pytestmark = pytest.mark.django_db
PAGE = "/admin/jobs/invariantcheck/"


@pytest.fixture
def operator(person, browser) -> Client:
    return browser(person("olga", "Operator", is_staff=True))


@pytest.fixture
def overdue(execution, bob) -> JobExecution:
    return execution(bob, expires_at=timezone.now() - timezone.timedelta(hours=1))


def test_only_operators_open_it(person, browser, operator):
    client = browser(person("leo", "Lead", is_staff=True))
    assert client.get(PAGE).status_code == 403
    assert client.post(f"{PAGE}look/").status_code == 403
    assert client.post(f"{PAGE}not_expired/repair/").status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()
    assert operator.get(PAGE).status_code == 200
    assert PAGE in operator.get("/admin/").content.decode()


def test_it_says_that_nobody_has_looked(operator):
    assert "Nobody has looked yet." in operator.get(PAGE).content.decode()


def test_it_shows_every_invariant_and_what_violates_it(operator, overdue):
    look_and_keep()
    page = operator.get(PAGE).content.decode()
    for invariant in INVARIANTS.values():
        assert invariant.code in page
    assert f'<a href="/executions/{overdue.pk}/">Import things</a>' in page
    assert " s after its deadline." in page
    assert "Ends it as expired." in page
    assert page.count('value="Repair"') == 1


def test_what_one_may_not_see_is_not_named(person, browser, overdue):
    from django.contrib.auth.models import Permission

    user = person("otto", None, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="operate_queues"))
    look_and_keep()
    page = browser(user).get(PAGE).content.decode()
    assert str(overdue.pk) in page
    assert "Import things" not in page


def test_it_looks_again_when_asked(operator, overdue):
    assert operator.get(f"{PAGE}look/").status_code == 405
    answer = operator.post(f"{PAGE}look/", follow=True)
    assert " s after its deadline." in answer.content.decode()


def test_repair_puts_right_and_says_so(operator, overdue):
    look_and_keep()
    answer = operator.post(f"{PAGE}not_expired/repair/", follow=True)
    assert "deadline expires. 1 found, 0 left after the repair." in answer.content.decode()
    overdue.refresh_from_db()
    assert overdue.status == Status.EXPIRED
    assert overdue.history.last().by.username == "olga"
    assert InvariantCheck.objects.get().found == {}


def test_what_a_person_must_look_at_is_not_repaired(operator):
    assert operator.post(f"{PAGE}history_gap/repair/").status_code == 404
    assert operator.post(f"{PAGE}nothing/repair/").status_code == 404


def test_another_site_cannot_press_its_button(person, overdue):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("olga", "Operator", is_staff=True))
    assert client.post(f"{PAGE}not_expired/repair/").status_code == 403
    overdue.refresh_from_db()
    assert overdue.status == Status.QUEUED


def test_it_asks_the_database_little(operator, overdue, django_assert_max_num_queries):
    look_and_keep()
    with django_assert_max_num_queries(8):
        operator.get(PAGE)
