"""An import needs the rights of its model, whichever way it is launched, and when it starts."""

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile

from catalog.models import Family
from jobs import control
from jobs.control import Denied
from jobs.engine.claim import claim
from jobs.models import JobExecution, JobProfile
from jobs.testing import run_now
from tests.api.support import Api

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"
ALL = (
    "view_tracker", "launch_import", "continue_execution", "add_product", "change_product",
    "add_family",
)  # fmt: skip


def someone(*rights: str) -> User:
    user, _ = User.objects.get_or_create(username="ann")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return User.objects.get(pk=user.pk)


def parameters(user: User, **more) -> dict:
    content = ContentFile(b"sku;family\na;boots\n", name="a.csv")
    return {"file": str(control.upload(content, user=user).pk), **more}


def by_job(user: User) -> None:
    control.launch(job=PRODUCTS, parameters=parameters(user), user=user)


def by_profile(user: User) -> None:
    profile = JobProfile.objects.create(code="shop", label="Shop", job=PRODUCTS)
    control.launch(profile=profile, parameters=parameters(user), user=user)


@pytest.mark.parametrize("door", [by_job, by_profile])
def test_no_launch_lets_an_import_in_without_the_rights_of_the_model(door):
    with pytest.raises(Denied) as refused:
        door(someone(*set(ALL) - {"change_product"}))
    assert refused.value.decision.needs == "catalog.change_product"
    assert not JobExecution.objects.exists()
    JobProfile.objects.filter(code="shop").delete()
    door(someone(*ALL))
    assert JobExecution.objects.get().status == "queued"


@pytest.mark.parametrize("request_", ["relaunch", "retry-failed"])
def test_nor_does_any_way_to_launch_it_again(request_):
    before = run_now(PRODUCTS, {}, {"file": b"sku;family\na;boots\n"}, user=someone(*ALL))
    api = Api(someone(*set(ALL) - {"change_product"}))
    found = api.problem(api.send(f"executions/{before.pk}/{request_}/", {}), 403, "denied")
    assert found["needs"] == "catalog.change_product"
    someone(*ALL)
    assert api.send(f"executions/{before.pk}/{request_}/", {}).status_code == 201


@pytest.mark.parametrize(
    ("missing", "more", "needs"),
    [
        ("add_product", {}, "catalog.add_product"),
        ("add_family", {"create_missing": ["family"]}, "catalog.add_family"),
    ],
)
def test_the_api_names_the_right_that_is_missing(missing, more, needs):
    user = someone(*set(ALL) - {missing})
    body = {"parameters": parameters(user, **more)}
    api = Api(user)
    found = api.problem(api.send(f"jobs/{PRODUCTS}/executions/", body), 403, "denied")
    assert found["needs"] == needs
    assert not JobExecution.objects.exists()


@pytest.mark.parametrize("taken", ["change_product", "add_family"])
def test_a_right_that_is_taken_away_before_the_start_is_missing_at_the_start(taken):
    user = someone(*ALL)
    given = parameters(user, create_missing=["family"])
    execution = control.launch(job=PRODUCTS, parameters=given, user=user)
    someone(*set(ALL) - {taken})
    assert claim(str(execution.pk), "test") is None
    execution.refresh_from_db()
    assert execution.status == "failed"
    assert f"catalog.{taken}" in execution.error
    assert not Family.objects.exists()
