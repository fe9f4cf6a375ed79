"""Notifications over REST: one's own, whoever one is."""

import pytest
from django.contrib.auth.models import User

from jobs.models import Notification
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(bob: User, execution) -> list[Notification]:
    return [
        Notification.objects.create(
            user=bob, kind=kind, text=f"It is {kind}.", execution=execution(bob, Status.FAILED)
        )
        for kind in ("failed", "warned", "lost")
    ]


def test_they_are_listed_newest_first(api, told):
    found = api.get("notifications/").json()["results"]
    assert [one["kind"] for one in found] == ["lost", "warned", "failed"]
    assert found[0]["links"]["execution"].endswith(f"/executions/{told[2].execution_id}/")
    assert found[0]["text"] == "It is lost."


def test_one_is_read_and_one_acknowledged(api, told):
    read = api.send(f"notifications/{told[0].pk}/read/").json()
    assert read["read_at"]
    assert not read["acknowledged_at"]
    done = api.send(f"notifications/{told[1].pk}/acknowledge/").json()
    assert done["read_at"]
    assert done["acknowledged_at"]
    again = api.send(f"notifications/{told[1].pk}/acknowledge/").json()
    assert again == done
    unread = api.get("notifications/?unread=true").json()["results"]
    assert [one["id"] for one in unread] == [str(told[2].pk)]
    assert len(api.get("notifications/?unread=false").json()["results"]) == 2
    api.problem(api.get("notifications/?unread=maybe"), 400, "bad-query")


def test_those_of_others_do_not_exist_even_for_a_superuser(person, told):
    for name, more in (("leo", {"role": "Lead"}), ("root", {"role": None, "is_superuser": True})):
        other = Api(person(name, **more))
        assert other.get("notifications/").json()["results"] == []
        for asked in ("read", "acknowledge"):
            answer = other.send(f"notifications/{told[0].pk}/{asked}/")
            other.problem(answer, 404, "not-found")
    assert Notification.objects.unread().count() == 3


def test_a_number_that_no_row_can_have_is_not_found(api):
    api.problem(api.send(f"notifications/{10**30}/read/"), 404, "not-found")
