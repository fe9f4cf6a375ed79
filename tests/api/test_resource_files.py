"""Files over REST: templates of resources, exports of a selection, archives, digests."""

import base64
import hashlib
import io
import json
import zipfile

import openpyxl
import pytest

from catalog.models import Attribute, Product
from jobs.formats.writing import TYPES
from jobs.models import JobExecution
from jobs.testing import run_now
from tests.api.support import Api
from tests.api.test_files import content, keep

pytestmark = pytest.mark.django_db
PRODUCTS = "resources/catalog.product/"


@pytest.fixture(autouse=True)
def two_jobs():
    """All installed jobs, and not only those of other tests."""


@pytest.mark.parametrize("kind", list(TYPES))
def test_a_template_has_the_columns_and_is_taken_by_the_import(api, bob, kind):
    Attribute.objects.create(code="weight", type="metric")
    Product.objects.create(sku="a", values={"weight": {"amount": "1", "unit": "KG"}})
    answer = api.get(f"{PRODUCTS}template/?format={kind}")
    assert answer.headers["Content-Type"] == TYPES[kind]
    assert answer.headers["Content-Disposition"].endswith(f'"product-template.{kind}"')
    given = {"file": (f"t.{kind}", content(answer))}
    ran = run_now("catalog.product.import", files=given, user=bob)
    assert ran.status == "completed", ran.error
    assert Product.objects.count() == 1
    assert ran.steps.get().columns == [
        "sku", "name", "family", "categories", "enabled", "price-EUR", "price-USD",
        "weight", "weight-unit",
    ]  # fmt: skip


def test_a_workbook_explains_its_columns_on_a_second_sheet(api):
    data = content(api.get("resources/catalog.attribute/template/?format=xlsx"))
    book = openpyxl.load_workbook(io.BytesIO(data))
    rows = {row[0]: row[1:] for row in book["Help"].iter_rows(values_only=True)}
    assert rows["Column"] == ("Meaning", "Type", "Required", "Choices")
    assert rows["code"][:3] == ("Code", "text", "yes")
    assert rows["type"][1:3] == ("one of the choices", "yes")
    assert "metric" in rows["type"][3]
    assert rows["date_min"][1:3] == ("date, like 2026-03-31", None)
    assert book.worksheets[0].title == "Rows"
    assert book.worksheets[0]["A1"].font.bold
    assert book.worksheets[0].freeze_panes == "A2"


def test_a_selection_is_exported_by_one_request(api, bob):
    body = {"filters": [{"field": "sku", "operator": "in", "value": ["a"]}], "columns": ["sku"]}
    answer = api.send(f"{PRODUCTS}export/", body, **{"Idempotency-Key": "one"})
    assert answer.status_code == 201, answer.content
    made = JobExecution.objects.get(pk=answer.json()["id"])
    assert (made.job, made.user) == ("catalog.product.export", bob)
    assert made.parameters["columns"] == ["sku"]
    assert answer.headers["Location"].endswith(f"/executions/{made.pk}/")
    api.send(f"{PRODUCTS}export/", body, **{"Idempotency-Key": "one"})
    assert JobExecution.objects.count() == 1


def test_a_selection_that_cannot_be_is_refused_with_its_sentences(api):
    body = {"filters": [{"field": "shoe", "operator": "="}], "order": ["x"], "format": "pdf"}
    found = api.problem(api.send(f"{PRODUCTS}export/", body), 422, "invalid")
    assert "There is no field 'shoe'" in json.dumps(found)
    pointers = {error["pointer"].rpartition("/")[2] for error in found["errors"]}
    assert pointers == {"filters", "order", "format"}


def test_raw_and_what_one_may_not_see_need_permissions_at_every_door(api, person, bob):
    found = api.problem(api.send(f"{PRODUCTS}export/", {"raw": True}), 403, "denied")
    assert "needs the permission jobs.export_raw, which your role has not" in found["detail"]
    answer = api.send("jobs/catalog.product.export/executions/", {"parameters": {"raw": True}})
    assert answer.status_code == 403
    admin = Api(person("admin", "Administrator"))
    assert admin.send(f"{PRODUCTS}export/", {"raw": True}).status_code == 201
    assert JobExecution.objects.count() == 1


def test_who_may_not_export_raw_does_not_save_it_in_a_profile(person):
    from jobs import control
    from jobs.models import JobProfile
    from jobs.permissions import Denied

    profile = JobProfile(
        code="raw", label="Raw", job="catalog.product.export", parameters={"raw": True}
    )
    control.check_profile(profile, by=person("admin", "Administrator"))
    with pytest.raises(Denied, match=r"needs the permission jobs\.export_raw"):
        control.check_profile(profile, by=person("manager", "Data manager"))


def test_who_loses_the_right_to_raw_before_the_start_gets_no_file(person):
    from jobs import control
    from jobs.engine.claim import claim

    user = person("brief", "Administrator")
    made = control.launch(job="catalog.product.export", parameters={"raw": True}, user=user)
    user.groups.set(type(user.groups.first()).objects.filter(name="User"))
    assert claim(str(made.pk), "test") is None
    made.refresh_from_db()
    assert made.status == "failed"
    assert "jobs.export_raw" in made.error


def test_a_download_carries_its_digest(api, bob, execution):
    ended = execution(bob, "completed")
    file = keep(ended, "result.csv", b"0123456789")
    digest = base64.b64encode(hashlib.sha256(b"0123456789").digest()).decode()
    answer = api.get(f"executions/{ended.pk}/files/{file.pk}/", headers={"Range": "bytes=2-3"})
    assert content(answer) == b"23"
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_all_files_come_in_one_archive(api, bob, execution, person):
    ended = execution(bob, "completed")
    api.problem(api.get(f"executions/{ended.pk}/archive/"), 404, "not-found")
    keep(ended, "a.csv", b"one", role="input")
    second = keep(ended, "a.csv", b"two")
    gone = keep(ended, "gone.csv", b"three")
    gone.file.storage.delete(gone.file.name)
    answer = api.get(f"executions/{ended.pk}/archive/")
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(content(answer))) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {"a.csv": b"one", f"{second.pk}-a.csv": b"two"}
    assert Api(person("other")).get(f"executions/{ended.pk}/archive/").status_code == 404
