"""The list of executions with its filters, orders and pages; one execution; deleting it."""

import datetime as dt
import uuid

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import JobExecution, JobProfile, StepExecution
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["results"]]


def names(answer) -> set[str]:
    assert answer.status_code == 200, answer.content
    return {one["name"] for one in answer.json()["results"]}


def test_the_newest_come_first_and_only_ones_own(api, bob, person, execution):
    first, second = execution(bob), execution(bob)
    execution(person("ann"))
    assert ids(api.get("executions/")) == [str(second.pk), str(first.pk)]


def test_who_may_sees_everybodys(lead_api, bob, execution):
    mine = execution(bob)
    assert ids(lead_api.get("executions/")) == [str(mine.pk)]


def test_a_row_is_thin_but_says_what_one_may(api, bob, execution):
    execution(bob, Status.RUNNING, parameters={"a": 1}, result={"b": 2})
    row = api.get("executions/").json()["results"][0]
    assert {"parameters", "result", "error", "progress"}.isdisjoint(row)
    assert row["user"] == "bob"
    assert row["group"] == "active"
    assert row["actions"]["stop"]["allowed"] is True
    assert row["actions"]["resume"]["allowed"] is False
    assert row["links"]["self"].endswith(f"/api/v1/executions/{row['id']}/")


def test_a_page_of_rows_takes_few_queries(
    api, bob, execution, profile, django_assert_max_num_queries
):
    for _ in range(25):
        made = execution(bob, Status.RUNNING, profile=profile)
        StepExecution.objects.create(execution=made, order=1, name="a", label="A")
    with django_assert_max_num_queries(12):
        api.get("executions/")


@pytest.fixture
def several(execution, bob, profile, lead) -> None:
    now = timezone.now()
    day = dt.timedelta(days=1)
    execution(bob, Status.QUEUED, name="queued", queue="io")
    execution(bob, Status.DEFERRED, name="deferred", type="export", job="things.export")
    execution(bob, Status.RUNNING, name="running", node="web-2", profile=profile)
    execution(bob, Status.COMPLETED, name="completed", created_at=now - 2 * day, started_at=now)
    execution(bob, Status.COMPLETED, name="warned", warnings_count=3, started_at=now - day)
    execution(bob, Status.FAILED, name="failed")
    execution(bob, Status.LOST, name="lost")
    execution(lead, Status.STOPPED, name="stopped")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=failed", {"failed"}),
        ("status=failed&status=lost", {"failed", "lost"}),
        ("status=failed,lost", {"failed", "lost"}),
        ("status=ERROR", {"failed", "lost"}),
        ("status=Scheduled", {"queued", "deferred"}),
        ("status=", None),
        ("group=ready", {"queued", "deferred"}),
        ("group=ready,active", {"queued", "deferred", "running"}),
        ("group=awol", {"lost"}),
        ("group=ready&status=queued", {"queued"}),
        ("type=export", {"deferred"}),
        ("user=lead", {"stopped"}),
        ("user=me", {"stopped"}),
        ("user=nobody", set()),
        ("job=things.export", {"deferred"}),
        ("profile=things", {"running"}),
        ("name=MPLET", {"completed"}),
        ("name=Import+thi", {"running"}),
        ("name=%25", set()),
        ("queue=io", {"queued"}),
        ("node=web-2", {"running"}),
        ("outcome=warned", {"warned"}),
        ("outcome=succeeded", {"completed"}),
        ("outcome=succeeded,failed", {"completed", "failed"}),
        ("has_warnings=true", {"warned"}),
        ("has_warnings=false&group=succeeded", {"completed"}),
        ("search=WEB", {"running"}),
        ("search=things.export", {"deferred"}),
        ("search=queue", {"queued"}),
    ],
)
def test_filters(lead_api, several, query, found):
    everything = set(JobExecution.objects.values_list("name", flat=True))
    expected = everything if found is None else found
    assert names(lead_api.get(f"executions/?{query}")) == expected


def test_filters_by_time(lead_api, several):
    now = timezone.now()
    at = lambda **back: (now - dt.timedelta(**back)).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: E731
    assert names(lead_api.get(f"executions/?created_before={at(days=1)}")) == {"completed"}
    assert "completed" not in names(lead_api.get(f"executions/?created_after={at(days=1)}"))
    assert names(lead_api.get(f"executions/?started_before={at(hours=1)}")) == {"warned"}
    assert "warned" not in names(lead_api.get(f"executions/?started_after={at(hours=1)}"))
    day = now.date().isoformat()
    assert "queued" in names(lead_api.get(f"executions/?created_after={day}"))


@pytest.mark.parametrize("moment", ["2026-01-01T00:00:00-17:10", "0001-01-01T00:00:00Z"])
def test_moments_of_any_offset_and_age_are_read(api, bob, execution, moment):
    execution(bob)
    assert len(ids(api.get(f"executions/?created_after={moment}"))) == 1
    assert ids(api.get("executions/?created_after=9999-12-31T23:59:59Z")) == []


def test_an_id_is_found_by_search(api, bob, execution):
    mine = execution(bob)
    execution(bob)
    assert ids(api.get(f"executions/?search={mine.pk}")) == [str(mine.pk)]


@pytest.mark.parametrize(
    "query",
    [
        "status=unknown",
        "group=unknown",
        "type=unknown",
        "outcome=unknown",
        "has_warnings=maybe",
        "parent=x",
        "created_after=yesterday",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "ordering=colour",
        "ordering=--name",
        "page_size=26",
        "page_size=all",
        "cursor=x",
    ],
)
def test_values_that_cannot_be_used_are_named(api, query):
    found = api.problem(api.get(f"executions/?{query}"), 400, "bad-query")
    assert found["errors"][0]["parameter"] == query.partition("=")[0]


def test_an_unknown_status_is_answered_with_the_valid_ones(api):
    found = api.problem(api.get("executions/?status=unknown"), 400, "bad-query")
    assert "queued" in found["detail"]
    assert "awol" in found["detail"]


ORDERINGS = (
    "created_at", "started_at", "finished_at", "duration", "name", "job", "status", "type", "user",
    "node", "queue",
)  # fmt: skip


@pytest.mark.parametrize("ordering", [sign + word for word in ORDERINGS for sign in ("", "-")])
def test_pages_of_every_order_hold_every_row_once(lead_api, bob, execution, ordering):
    now = timezone.now()
    people = [bob, None, User.objects.get(username="lead")]
    for number in range(60):
        status = (Status.QUEUED, Status.RUNNING, Status.COMPLETED)[number % 3]
        execution(
            people[number % 3],
            status,
            name=f"name {number % 7}",
            node=f"web-{number % 2}",
            queue=("io", "default")[number % 2],
            started_at=None if number % 3 == 0 else now - dt.timedelta(seconds=number // 4),
        )
    url, seen, pages = f"executions/?ordering={ordering}", [], 0
    while url:
        answer = lead_api.get(url)
        seen += ids(answer)
        pages += 1
        url = answer.json()["next"]
        assert (url is None) == ("Link" not in answer.headers)
        if url:
            assert answer.headers["Link"] == f'<{url}>; rel="next"'
    assert pages == 3
    assert len(seen) == 60
    assert len(set(seen)) == 60
    everything = list(JobExecution.objects.order_by("pk").values_list("pk", flat=True))
    assert {uuid.UUID(one) for one in seen} == set(everything)
    if ordering == "created_at":
        assert seen == [str(pk) for pk in everything]


def test_rows_are_in_order(lead_api, bob, execution):
    now = timezone.now()
    ends = {"short": 1, "long": 100, "middle": 10}
    for name, seconds in ends.items():
        began = now - dt.timedelta(seconds=200)
        execution(
            bob,
            Status.COMPLETED,
            name=name,
            started_at=began,
            finished_at=began + dt.timedelta(seconds=seconds),
        )
    execution(bob, Status.RUNNING, name="runs", started_at=now - dt.timedelta(seconds=50))
    execution(bob, Status.QUEUED, name="waits")
    found = lead_api.get("executions/?ordering=-duration").json()["results"]
    assert [one["name"] for one in found] == ["long", "runs", "middle", "short", "waits"]
    found = lead_api.get("executions/?ordering=duration").json()["results"]
    assert [one["name"] for one in found] == ["short", "middle", "runs", "long", "waits"]


def test_a_cursor_keeps_its_order_and_its_owner(api, bob, execution):
    for _ in range(26):
        execution(bob)
    following = api.get("executions/?ordering=name").json()["next"]
    assert len(ids(api.get(following))) == 1
    wrong = following.replace("ordering=name", "ordering=job")
    api.problem(api.get(wrong), 400, "bad-query")


def test_a_row_that_comes_between_two_pages_hides_none(api, bob, execution):
    old = [execution(bob) for _ in range(30)]
    first = api.get("executions/")
    execution(bob)
    second = api.get(first.json()["next"])
    assert ids(first) + ids(second) == [str(one.pk) for one in reversed(old)]


def test_everything_about_one_execution(api, bob, execution, profile):
    made = execution(bob, Status.RUNNING, profile=profile, parameters={"a": 1}, worker="w@web-2")
    StepExecution.objects.create(
        execution=made,
        order=1,
        name="rows",
        label="Rows",
        status="running",
        total=200,
        created=40,
        failed=10,
    )
    found = api.get(f"executions/{made.pk}/").json()
    assert found["profile"] == "things"
    assert found["done"] is False
    assert found["outcome"] is None
    assert found["progress"]["percent"] == 25
    assert found["progress"]["items_done"] == 50
    assert found["progress"]["items_total"] == 200
    assert found["progress"]["steps"][0]["percent"] == 25
    assert found["counters"]["created"] == 40
    assert found["counters"]["processed"] == 50
    assert found["parameters"] == {"a": 1}
    assert found["waiting"] is None
    assert found["stop"] is None
    assert found["children_count"] == 0
    for address in found["links"].values():
        assert address.startswith("http://testserver/")


def test_the_rest_is_forecast_from_the_time_so_far(api, bob, execution):
    began = timezone.now() - dt.timedelta(seconds=30)
    made = execution(bob, Status.RUNNING, started_at=began)
    step = {"execution": made, "name": "rows", "label": "Rows", "status": "running", "order": 1}
    StepExecution.objects.create(**step, total=100, done=25)
    found = api.get(f"executions/{made.pk}/").json()
    assert 85 <= found["progress"]["eta_seconds"] <= 95


def test_the_traceback_is_for_those_who_may_see_it(api, bob, execution, person):
    made = execution(bob, Status.FAILED, error="It broke.", error_detail="Traceback …")
    found = api.get(f"executions/{made.pk}/").json()
    assert found["error"] == {"summary": "It broke.", "detail": None}
    assert found["outcome"] == "failed"
    operator = Api(person("operator", "Operator"))
    found = operator.get(f"executions/{made.pk}/").json()
    assert found["error"]["detail"] == "Traceback …"


def test_an_unchanged_execution_is_not_sent_again(api, bob, execution):
    made = execution(bob, Status.COMPLETED)
    path = f"executions/{made.pk}/"
    etag = api.get(path).headers["ETag"]
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert api.get(path, headers={"If-None-Match": f'"other", W/{etag}'}).status_code == 304
    JobExecution.objects.update(note="New")
    changed = api.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_what_one_may_not_see_does_not_exist(api, person, execution):
    hers = execution(person("ann"))
    for path in (f"executions/{hers.pk}/", f"executions/{uuid.uuid4()}/", "executions/1/"):
        api.problem(api.get(path), 404, "not-found")


@pytest.mark.parametrize("status", [Status.QUEUED, Status.DEFERRED, Status.COMPLETED])
def test_what_has_ended_or_not_begun_is_deleted(api, bob, execution, status):
    made = execution(bob, status)
    answer = api.delete(f"executions/{made.pk}/")
    assert (answer.status_code, answer.content) == (204, b"")
    api.problem(api.get(f"executions/{made.pk}/"), 404, "not-found")
    api.problem(api.delete(f"executions/{made.pk}/"), 404, "not-found")


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED, Status.STOPPING])
def test_what_is_active_is_not_deleted(api, bob, execution, status):
    made = execution(bob, status)
    api.problem(api.delete(f"executions/{made.pk}/"), 409, "refused")


def test_deleting_needs_the_right(person, execution):
    viewer = person("viewer", "Viewer")
    made = execution(viewer, Status.COMPLETED)
    api = Api(viewer)
    found = api.problem(api.delete(f"executions/{made.pk}/"), 403, "denied")
    assert found["needs"] == "jobs.delete_execution"


def test_a_renamed_profile_is_found_by_its_present_label(api, bob, execution, profile):
    made = execution(bob, profile=profile, name="Old name")
    JobProfile.objects.update(label="Supplier feed")
    assert ids(api.get("executions/?name=supplier")) == [str(made.pk)]
    assert ids(api.get("executions/?name=old")) == [str(made.pk)]
