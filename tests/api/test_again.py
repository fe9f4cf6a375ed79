"""Continue, relaunch, for real and retry failed: new executions in place of ended ones."""

import pytest

from jobs.models import StepExecution, StepWarning
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db

VERBS = ("continue", "relaunch", "for-real", "retry-failed")


@pytest.fixture
def ended(bob, execution):
    made = execution(bob, Status.FAILED, parameters={"separator": ";"}, warnings_count=1)
    step = StepExecution.objects.create(
        execution=made, order=0, name="rows", label="Rows", status="failed", failed=1, created=5
    )
    StepWarning.objects.create(execution=made, step=step, row=3, code="bad", message="Bad.")
    made.job_version = made.definition.version()
    made.save(update_fields=["job_version"])
    return made


def was_dry(execution):
    """Make a dry run of it, as its launch would have."""
    execution.parameters, execution.dry_run = execution.parameters | {"dry_run": True}, True
    execution.save(update_fields=["parameters", "dry_run"])


@pytest.mark.parametrize("verb", VERBS)
def test_each_makes_a_new_execution(api, ended, verb):
    if verb == "for-real":
        was_dry(ended)
    answer = api.send(f"executions/{ended.pk}/{verb}/", {})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert answer.headers["Location"].endswith(f"/executions/{made['id']}/")
    assert (made["status"], made["id"] == str(ended.pk)) == ("queued", False)
    fresh = verb in {"relaunch", "for-real"}
    assert made["continues"] == (None if fresh else str(ended.pk))


def test_a_dry_run_is_run_for_real(api, ended):
    refused = api.get(f"executions/{ended.pk}/").json()["actions"]["for_real"]
    assert (refused["allowed"], refused["reason"]) == (False, f"“{ended.name}” was no dry run.")
    api.problem(api.send(f"executions/{ended.pk}/for-real/", {}), 409, "refused")
    was_dry(ended)
    shown = api.get(f"executions/{ended.pk}/").json()
    assert shown["actions"]["for_real"]["allowed"]
    assert shown["links"]["for_real"].endswith(f"/executions/{ended.pk}/for-real/")
    made = api.send(f"executions/{ended.pk}/for-real/", {}).json()
    assert made["parameters"] == {"separator": ";", "dry_run": False}


@pytest.mark.parametrize("verb", VERBS)
def test_the_standard_cases(api, person, bob, execution, ended, verb):
    running = execution(bob, Status.RUNNING)
    api.problem(api.send(f"executions/{running.pk}/{verb}/", {}), 409, "refused")
    hers = execution(person("ann"), Status.FAILED)
    api.problem(api.send(f"executions/{hers.pk}/{verb}/", {}), 404, "not-found")
    viewer = Api(person("viewer", "Viewer"))
    viewer.problem(viewer.send(f"executions/{ended.pk}/{verb}/", {}), 403, "denied")
    api.problem(api.send(f"executions/{ended.pk}/{verb}/", {"all": 1}), 422, "invalid")
    api.problem(api.get(f"executions/{ended.pk}/{verb}/"), 405, "method-not-allowed")
    Api().problem(Api().send(f"executions/{ended.pk}/{verb}/", {}), 401, "unauthorized")
