"""A file is looked at before it is imported, and its columns are led to others."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile

from catalog.jobs import ProductResource
from jobs import control
from jobs.definition import register
from jobs.models import JobExecution, JobProfile, Upload
from jobs.recipes.imports import ImportJob
from tests.site.support import flashes

CONTENT = "SKU;Name;Price EUR;Remark\nA-1;<b>One</b>;1,50;x\nA-2;Two;2,50;y\n"


class ImportProducts(ImportJob):
    """Import products."""

    resource = ProductResource


@pytest.fixture
def importing(db):
    register("shop.import_products", ImportProducts, type="import")
    JobProfile.objects.all().delete()
    return JobProfile.objects.create(
        code="products", label="Import products", job="shop.import_products"
    )


@pytest.fixture
def look(importing, bob):
    """Send a file of bob's; returns the address of its page."""

    def send(content=CONTENT, name="spring.csv"):
        sent = control.upload(ContentFile(content.encode(), name=name), user=bob)
        return f"/profiles/products/files/{sent.pk}/"

    return send


@pytest.fixture
def manager(browser, bob):
    """Bob as somebody who may edit profiles, too."""
    bob.groups.add(Group.objects.get(name="Data manager"))
    return browser(bob)


def columns(answer):
    return {column.name: column for column in answer.context["page"].columns}


def chosen(**more):
    """What the page sends, unchanged but for these."""
    return {
        "mode": "upsert",
        "mapping-from": ["SKU", "Name", "Price EUR", "Remark"],
        "mapping-to": ["sku", "name", "price-EUR", ""],
        "decimal": ",",
        "validation": "fields",
        **more,
    }


def test_a_file_is_looked_at_from_the_form_of_the_launch(bobs, importing):
    file = ContentFile(CONTENT.encode(), name="spring.csv")
    answer = bobs.post("/profiles/products/", {
        "file": file, "mode": "create", "max_failed": "7", "decimal": ".", "validation": "fields",
        "_look": "1",
    })  # fmt: skip
    sent = Upload.objects.get()
    at = urlsplit(answer["Location"])
    assert at.path == f"/profiles/products/files/{sent.pk}/"
    assert json.loads(parse_qs(at.query)["with"][0]) == {"mode": "create", "max_failed": 7}
    page = bobs.get(answer["Location"])
    assert page.context["page"].form["mode"].value() == "create"
    assert page.context["page"].form["max_failed"].value() == 7
    assert not JobExecution.objects.exists()


def test_without_a_file_the_form_says_so(bobs, importing):
    answer = bobs.post("/profiles/products/", {"mode": "upsert", "_look": "1"})
    assert answer.status_code == 422
    assert "file" in answer.context["run"].form.errors
    assert not Upload.objects.exists()


def test_its_page_shows_what_is_in_it_and_where_it_would_go(bobs, look):
    answer = bobs.get(look())
    found = columns(answer)
    assert {name: column.chosen for name, column in found.items()} == {
        "SKU": "sku", "Name": "name", "Price EUR": "price-EUR", "Remark": "",
    }  # fmt: skip
    assert found["Price EUR"].kind == "number"
    assert found["Remark"].is_unknown
    assert found["Name"].samples == ["<b>One</b>", "Two"]
    form = answer.context["page"].form
    assert form["decimal"].value() == ","  # as the file has it
    page = answer.content.decode()
    assert "&lt;b&gt;One&lt;/b&gt;" in page
    assert "<b>One" not in page
    assert "Not known here, so it is left out" in page
    assert 'role="alert"' not in page


def test_what_is_missing_is_said_at_once(bobs, look):
    answer = bobs.get(look("Name;Price EUR\nOne;1\n"))
    assert "'sku' is missing" in answer.context["page"].mistake
    assert "is missing in the file" in answer.content.decode()


def test_two_columns_for_one_are_said_when_one_looks_again(bobs, look):
    sent = chosen(**{"mapping-to": ["sku", "name", "name", ""], "_do": "look"})
    answer = bobs.post(look(), sent)
    assert answer.status_code == 200
    assert "both lead to 'name'" in answer.context["page"].mistake
    assert columns(answer)["Price EUR"].chosen == "name"
    assert not JobExecution.objects.exists()


def test_it_is_read_anew_as_one_wishes(bobs, look):
    at = look("SKU,Name\nA,One;Two\n")
    assert [*columns(bobs.get(at))] == ["SKU", "Name"]
    answer = bobs.post(at, {"delimiter": ";", "mode": "upsert", "_do": "look"})
    assert [*columns(answer)] == ["SKU,Name"]


def test_a_file_that_cannot_be_read_says_why_and_can_be_read_otherwise(bobs, look):
    answer = bobs.get(look("", name="empty.csv"))
    assert answer.status_code == 200
    assert answer.context["page"].mistake
    assert "Look again" in answer.content.decode()


def test_it_is_launched_with_the_columns_as_they_were_led(bobs, look):
    at = look()
    answer = bobs.post(at, chosen(ledger="on"))
    launched = JobExecution.objects.get()
    assert answer["Location"] == launched.get_absolute_url()
    assert launched.parameters["file"] == at.split("/")[-2]
    assert launched.parameters["mapping"] == {
        "SKU": "sku", "Name": "name", "Price EUR": "price-EUR", "Remark": "",
    }  # fmt: skip
    assert launched.parameters["decimal"] == ","
    assert launched.parameters["ledger"] is True
    assert launched.dry_run is False
    assert launched.files.get().name == "spring.csv"


def test_a_column_that_keeps_its_name_needs_no_mapping(bobs, look):
    sent = {"mode": "upsert", "mapping-from": ["sku", "Remark"], "mapping-to": ["sku", ""]}
    bobs.post(look("sku;Remark\nA;x\n"), sent)
    assert JobExecution.objects.get().parameters["mapping"] == {"Remark": ""}


def test_it_can_be_tried_first(bobs, look):
    bobs.post(look(), chosen(dry_run="on"))
    assert JobExecution.objects.get().dry_run is True


def test_two_clicks_launch_once(bobs, look):
    at = look()
    for _ in range(2):
        bobs.post(at, chosen(_once="the-same"))
    assert JobExecution.objects.count() == 1


def test_what_is_saved_in_the_profile_counts_for_its_next_file(manager, look, importing):
    answer = manager.post(look(), chosen(_do="save", mode="create"), follow=True)
    assert "Saved in “Import products”" in flashes(answer)[0]
    importing.refresh_from_db()
    assert importing.parameters == {
        "decimal": ",",
        "mode": "create",
        "mapping": {"SKU": "sku", "Name": "name", "Price EUR": "price-EUR", "Remark": ""},
    }
    assert columns(manager.get(look()))["Price EUR"].chosen == "price-EUR"
    assert not JobExecution.objects.exists()


def test_saving_needs_the_right_to_edit(bobs, look, importing):
    at = look()
    assert "Save in the profile" not in bobs.get(at).content.decode()
    assert bobs.post(at, chosen(_do="save")).status_code == 403
    importing.refresh_from_db()
    assert importing.parameters == {}


def test_nobody_looks_into_files_of_others(browser, person, look):
    assert browser(person("lena", "Lead")).get(look()).status_code == 404


def test_who_may_not_launch_is_told_so(browser, person, look):
    assert browser(person("vera", "Viewer")).get(look()).status_code == 403


def test_a_locked_parameter_stays_as_the_profile_has_it(bobs, look, importing):
    importing.parameters, importing.locked = {"mode": "create"}, ["mode"]
    importing.save()
    bobs.post(look(), chosen(mode="upsert"))
    assert JobExecution.objects.get().parameters["mode"] == "create"
