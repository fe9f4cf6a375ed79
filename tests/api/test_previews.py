"""An upload is looked into before it is imported."""

import uuid

import pytest
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile

from catalog.jobs import ProductResource
from jobs import control
from jobs.definition import register
from jobs.models import JobProfile
from jobs.recipes.imports import ImportJob
from tests.api.support import Api

pytestmark = pytest.mark.django_db
JOB = "shop.import_products"


class ImportProducts(ImportJob):
    """Import products."""

    resource = ProductResource


@pytest.fixture(autouse=True)
def _job():
    register(JOB, ImportProducts, type="import")


@pytest.fixture
def sent(bob):
    content = b"SKU;Price EUR;Remark\n" + b"A;1,50;x\n" * 60
    return control.upload(ContentFile(content, name="spring.csv"), user=bob)


def look(api, upload, **query):
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return api.get(f"uploads/{upload.pk}/preview/?{asked}")


def test_it_tells_how_it_is_read_and_where_its_columns_go(api, sent):
    found = look(api, sent, job=JOB).json()
    assert "separated by semicolons" in found["said"]
    assert (found["fault"], found["decimal"]) == ("", ",")
    assert [(one["name"], one["kind"], one["goes_to"]) for one in found["columns"]] == [
        ("SKU", "text", "sku"),
        ("Price EUR", "number", "price-EUR"),
        ("Remark", "text", None),
    ]
    assert found["rows"] == [["A", "1,50", "x"]] * 50
    assert "price-USD" in found["known"]


def test_a_profile_says_how_and_the_question_says_otherwise(api, sent):
    profile = JobProfile.objects.create(
        code="shop", label="Shop", job=JOB, parameters={"delimiter": ","}
    )
    assert len(look(api, sent, profile=profile.code).json()["columns"]) == 1
    assert len(look(api, sent, profile=profile.code, delimiter=";").json()["columns"]) == 3


def test_a_file_that_cannot_be_read_says_why(api, bob):
    empty = control.upload(ContentFile(b"", name="empty.csv"), user=bob)
    assert look(api, empty, job=JOB).json()["fault"]


@pytest.mark.parametrize("query", [{}, {"job": "no.such"}, {"job": "jobs.undo"}])
def test_the_import_must_be_named(api, sent, query):
    said = api.problem(look(api, sent, **query), 400, "bad-query")
    assert "Name the import" in str(said)


def test_uploads_of_others_are_not_there(api, sent, person):
    lead = Api(person("lena", "Lead"))
    lead.problem(look(lead, sent, job=JOB), 404, "not-found")
    api.problem(api.get(f"uploads/{uuid.uuid4()}/preview/?job={JOB}"), 404, "not-found")


def test_only_those_who_may_launch_it_look(bob, sent):
    bob.groups.clear()
    bob.groups.add(Group.objects.get(name="Viewer"))
    viewer = Api(bob)
    assert look(viewer, sent, job=JOB).status_code == 403
