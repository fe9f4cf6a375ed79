"""Who gets what, over every role, owner and address of an execution."""

import pytest
from django.core.files.base import ContentFile

from jobs import control
from jobs.models import ExecutionFile, RejectedRow
from jobs.permissions import may, visible_to
from jobs.states import Status
from tests.site.support import body, flashes

ROLES = (None, "Viewer", "User", "Data manager", "Lead", "Operator", "Auditor", "Administrator")
# Address below the execution, method, and the action that decides.
DOORS = {
    "page": ("", "get", "view"),
    "warnings": ("?tab=warnings", "get", "view_contents"),
    "row": ("rejected/1/", "get", "view_contents"),
    "rejected": ("rejected/", "get", "download"),
    "log": ("log/", "get", "view_contents"),
    "log.txt": ("log.txt", "get", "view_contents"),
    "debug": ("log/?stream=debug", "get", "view_debug_log"),
    "file": ("files/{file}/", "get", "download"),
    "dialog": ("stop/", "get", "stop"),
    "stop": ("stop/", "post", "stop"),
    "abort": ("abort/", "post", "abort"),
    "pause": ("pause/", "post", "pause"),
}


@pytest.fixture
def there(bob, execution):
    """Make an execution with a file."""

    def make(user):
        found = execution(user, Status.RUNNING)
        up = control.upload(ContentFile(b"x", name="x.csv"), user=user)
        file = ExecutionFile.objects.create(
            execution=found, role="input", name="x.csv", file=up.file.name, size=1, sha256=up.sha256
        )
        found.steps.update(columns=["sku"])
        RejectedRow.objects.create(execution=found, step=found.steps.get(), row=1, cells=["x"])
        return found, file

    return make


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("own", [True, False], ids=["own", "other's"])
def test_every_door_answers_as_the_one_function_decides(browser, person, there, role, own):
    user = person("somebody", role)
    client = browser(user)
    for name, (path, method, action) in DOORS.items():
        found, file = there(user if own else person(f"owner of {name}"))
        decision = may(user, action, found)
        answer = getattr(client, method)(
            f"/executions/{found.pk}/{path.format(file=file.pk)}", follow=method == "post"
        )
        page = body(answer).decode()
        expected = 200 if decision else 403 if decision.visible else 404
        assert answer.status_code == expected, (name, decision)
        if expected == 403:
            reasons = {decision.reason, may(user, "stop", found).reason}  # abort needs both
            assert any(reason and reason in page for reason in reasons)
        if method == "post" and expected == 200:
            assert flashes(answer)


@pytest.mark.parametrize("role", ROLES[1:])
def test_the_list_shows_what_the_page_opens(browser, person, there, role):
    user = person("somebody", role)
    rows = {there(owner)[0].pk for owner in (user, person("other"))}
    listed = {row.execution.pk for row in browser(user).get("/executions/").context["list"].rows}
    opened = {pk for pk in rows if browser(user).get(f"/executions/{pk}/").status_code == 200}
    assert listed == opened == {found.pk for found in visible_to(user)}


def test_a_right_that_is_taken_away_is_gone_at_once(browser, person, bob, there):
    lena = person("lena", "Lead")
    client = browser(lena)
    found, _ = there(bob)
    assert client.get(f"/executions/{found.pk}/").status_code == 200
    lena.groups.clear()
    assert client.get(f"/executions/{found.pk}/").status_code == 404
    lena.is_active = False
    lena.save()
    assert client.get(f"/executions/{found.pk}/").status_code == 302
