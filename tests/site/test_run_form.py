"""The form of a launch and of a profile: groups, editors, dry run."""

import pytest
from django import forms
from django.core.files.base import ContentFile

from catalog.jobs import ProductResource
from jobs.definition import register
from jobs.models import JobExecution, JobProfile
from tests.site.support import ImportThings

PAGE = "/profiles/things/"
CHANGE = "/profiles/things/change/"


class ImportProducts(ImportThings):
    """Import products."""

    resource = ProductResource

    class Parameters(forms.Form):
        file = forms.FileField(required=False)
        delimiter = forms.ChoiceField(choices=[("", "Found"), (";", "Semicolon")], required=False)
        mode = forms.ChoiceField(
            choices=[("upsert", "Both"), ("create", "Create")], required=False, initial="upsert"
        )
        mapping = forms.JSONField(required=False)
        ledger = forms.BooleanField(required=False)
        max_failed = forms.IntegerField(required=False, min_value=0)
        dry_run = forms.BooleanField(required=False)
        colour = forms.CharField(required=False)


class ExportProducts(ImportThings):
    """Export products."""

    resource = ProductResource

    class Parameters(forms.Form):
        filters = forms.JSONField(required=False)
        columns = forms.JSONField(required=False)
        order = forms.JSONField(required=False)


@pytest.fixture
def manager(browser, person):
    """The browser of somebody who may edit profiles."""
    return browser(person("dora", "Data manager"))


@pytest.fixture
def importing(profile):
    register("things.import_products", ImportProducts, type="import")
    profile.job = "things.import_products"
    profile.save()
    JobProfile.objects.update(version=1)
    profile.refresh_from_db()
    return profile


@pytest.fixture
def exporting(db):
    JobProfile.objects.all().delete()
    register("things.export_products", ExportProducts, type="export")
    return JobProfile.objects.create(code="things", label="Export", job="things.export_products")


def names(sections):
    return {
        section.title: ([one.name for one in section.fields], [one.name for one in section.rare])
        for section in sections
    }


def test_parameters_stand_in_groups_and_the_rare_ones_are_folded(bobs, importing):
    run = bobs.get(PAGE).context["run"]
    assert names(run.sections) == {
        "Which file": (["file"], []),
        "How it is read": ([], ["delimiter"]),
        "What happens to rows": (["mode"], ["mapping"]),
        "Safety": (["ledger"], ["max_failed"]),
        "Further": (["colour"], []),
    }
    assert not any(section.is_open for section in run.sections)


def test_what_the_profile_sets_is_unfolded(bobs, importing):
    importing.parameters = {"delimiter": ";", "mapping": {"Price": "price-EUR"}}
    importing.save()
    run = bobs.get(PAGE).context["run"]
    assert [section.title for section in run.sections if section.is_open] == [
        "How it is read",
        "What happens to rows",
    ]


def test_a_mistake_in_a_folded_part_is_unfolded(bobs, importing):
    answer = bobs.post(PAGE, {"mode": "upsert", "max_failed": "-1"})
    assert answer.status_code == 422
    safety = next(one for one in answer.context["run"].sections if one.title == "Safety")
    assert safety.is_open


def test_rows_of_the_editor_become_the_parameter(bobs, importing):
    bobs.post(PAGE, {
        "mode": "upsert",
        "mapping-from": ["Price", "", " Remark ", ""],
        "mapping-to": ["price-EUR", "", "", ""],
    })  # fmt: skip
    launched = JobExecution.objects.get()
    assert launched.parameters["mapping"] == {"Price": "price-EUR", "Remark": ""}


def test_what_was_entered_is_still_there_after_a_mistake(bobs, importing):
    sent = {"mode": "x", "mapping-from": ["<b>Price", ""], "mapping-to": ["price-EUR", ""]}
    page = bobs.post(PAGE, sent).content.decode()
    assert 'value="&lt;b&gt;Price"' in page
    assert '<option value="price-EUR" selected>' in page


def test_a_dry_run_is_asked_for_by_its_button(bobs, importing):
    page = bobs.get(PAGE).content.decode()
    assert 'name="dry_run" value="on"' in page
    assert 'type="checkbox" name="dry_run"' not in page
    bobs.post(PAGE, {"mode": "upsert", "dry_run": "on"})
    assert JobExecution.objects.get().dry_run is True
    bobs.post(PAGE, {"mode": "upsert"})
    assert JobExecution.objects.latest("pk").dry_run is False


def test_a_profile_that_is_only_ever_tried_offers_nothing_else(bobs, importing):
    importing.parameters, importing.locked = {"dry_run": True}, ["dry_run"]
    importing.save()
    page = bobs.get(PAGE).content.decode()
    assert "Run now</button>" not in page
    assert "Dry run</button>" in page
    bobs.post(PAGE, {"mode": "upsert"})
    assert JobExecution.objects.get().dry_run is True


def test_an_export_is_described_by_rows_of_filters_columns_and_order(manager, exporting):
    answer = manager.post(CHANGE, {
        "filters-field": ["family", "sku", ""],
        "filters-operator": ["in", "not empty", "="],
        "filters-value": ["shoes,hats", "", ""],
        "columns-name": ["sku", "price-EUR", ""],
        "order-by": ["sku", ""],
        "order-way": ["-", ""],
    })  # fmt: skip
    assert answer.status_code == 302
    exporting.refresh_from_db()
    assert exporting.parameters == {
        "filters": [
            {"field": "family", "operator": "in", "value": "shoes,hats"},
            {"field": "sku", "operator": "not empty", "value": None},
        ],
        "columns": ["sku", "price-EUR"],
        "order": ["-sku"],
    }
    page = manager.get(CHANGE).content.decode()
    assert 'value="shoes,hats"' in page
    assert '<option value="not empty" selected>' in page
    assert '<option value="-" selected>' in page


def test_a_column_that_is_gone_stays_chosen_until_somebody_changes_it(manager, exporting):
    exporting.parameters = {"columns": ["colour_of_old"]}
    exporting.save()
    page = manager.get(CHANGE).content.decode()
    assert '<option value="colour_of_old" selected>' in page


def test_a_profile_keeps_only_what_differs(manager, importing):
    manager.post(CHANGE, {"mode": "upsert", "delimiter": ";", "ledger": "on", "max_failed": ""})
    importing.refresh_from_db()
    assert importing.parameters == {"delimiter": ";", "ledger": True}
    assert importing.version == 2


def test_a_profile_is_changed_by_those_who_may_edit_it(bobs, manager, importing):
    assert bobs.get(CHANGE).status_code == 403
    assert bobs.post(CHANGE, {"mode": "create"}).status_code == 403
    assert "/change/" not in bobs.get(PAGE).content.decode()
    assert "/change/" in manager.get(PAGE).content.decode()
    importing.refresh_from_db()
    assert importing.parameters == {}


def test_a_mistake_in_a_profile_is_said_and_nothing_saved(manager, importing):
    answer = manager.post(CHANGE, {"mode": "sideways"})
    assert answer.status_code == 422
    assert "sideways is not one of the available choices" in answer.content.decode()
    importing.refresh_from_db()
    assert importing.parameters == {}


@pytest.mark.parametrize("button", [{}, {"_look": "1"}])
def test_a_file_that_is_refused_is_said_beside_its_field(bobs, importing, button):
    program = ContentFile(b"\x7fELF" + bytes(60), name="products.csv")
    answer = bobs.post(PAGE, {"mode": "upsert", "file": program} | button)
    assert answer.status_code == 422
    form = answer.context["run"].form
    assert "is a program for Linux" in form.errors["file"][0]
    assert not form.non_field_errors()


def test_several_limits_are_folded_under_what_they_limit(bobs, importing):
    safety = next(one for one in bobs.get(PAGE).context["run"].sections if one.title == "Safety")
    assert safety.rare_labels == "How many rows may fail"
