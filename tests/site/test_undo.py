"""The page on which an import is undone: shown first, then launched."""

import html

import pytest
from django.db.models.functions import Now

from catalog.jobs import ProductResource
from catalog.models import Family, Product
from jobs import control
from jobs.definition import REGISTRY, register
from jobs.models import JobExecution
from jobs.recipes.imports import ImportJob
from jobs.states import Status
from jobs.testing import run_now
from jobs.undo import UNDO, Undo
from tests.site.support import flashes

JOB = "shop.import_products"


class ImportProducts(ImportJob):
    """Import products."""

    resource = ProductResource


@pytest.fixture(autouse=True)
def _installed():
    register(JOB, ImportProducts, type="import")
    REGISTRY[UNDO] = Undo


@pytest.fixture
def dora(person):
    """Somebody who may delete rows too, which undoing what was created needs."""
    return person("dora", "Data manager")


@pytest.fixture
def doras(browser, dora):
    return browser(dora)


@pytest.fixture
def doras_import(dora):
    """An import of dora's that updates A and B, and creates C."""

    def make(**parameters):
        for code in ("shoes", "hats"):
            Family.objects.get_or_create(code=code)
        text = "sku;name;family\nA;Old A;shoes\nB;Old B;shoes\n"
        run_now(JOB, {}, {"file": text.encode()}, user=dora)
        text = "sku;name;family\nA;<b>New</b>;hats\nB;New B;hats\nC;New C;hats\n"
        return run_now(JOB, {"ledger": True} | parameters, {"file": text.encode()}, user=dora)

    return make


def page_of(client, execution, query=""):
    return client.get(f"/executions/{execution.pk}/undo/{query}")


def test_what_will_happen_is_shown_before_anything_does(doras, doras_import):
    answer = page_of(doras, doras_import())
    dialog = answer.context["undo"]
    assert [(act.text.split()[0], act.count) for act in dialog.acts] == [
        ("Put", 2),
        ("Deleted,", 1),
    ]
    restored = dialog.acts[0].examples
    by_key = {line.change.key: line.differences for line in restored}
    assert [(one.field, one.before, one.after) for one in by_key["A"]] == [
        ("Name", "<b>New</b>", "Old A"),
        ("Family", "hats", "shoes"),
    ]
    page = answer.content.decode()
    assert "&lt;b&gt;New&lt;/b&gt;" in page
    assert "Undo it</button>" in page
    assert Product.objects.get(sku="B").name == "New B"
    assert not JobExecution.objects.exclude(undoes=None).exists()


def test_rows_that_somebody_has_changed_since_are_named_and_left_alone(doras, doras_import):
    done = doras_import()
    Product.objects.filter(sku="A").update(name="By hand")
    answer = page_of(doras, done)
    (conflict,) = answer.context["undo"].conflicts
    assert (conflict.text, conflict.count) == ("Changed since by somebody", 1)
    ((key, message),) = conflict.examples
    assert key == "A"
    assert message in html.unescape(answer.content.decode())


def test_it_is_undone_by_an_execution_that_both_pages_tell_of(doras, doras_import):
    done = doras_import()
    answer = doras.post(f"/executions/{done.pk}/undo/", follow=True)
    undo = JobExecution.objects.get(undoes=done)
    assert answer.redirect_chain[-1][0] == undo.get_absolute_url()
    assert done.get_absolute_url() in answer.content.decode()
    page = doras.get(done.get_absolute_url()).content.decode()
    assert "This is being undone." in page
    assert undo.get_absolute_url() in page
    JobExecution.objects.filter(pk=undo.pk).update(
        status=Status.COMPLETED, started_at=Now(), finished_at=Now()
    )
    page = doras.get(done.get_absolute_url())
    assert undo.get_absolute_url() in page.content.decode()
    buttons = {button.action: button.reason for button in page.context["page"].buttons}
    assert buttons["undo"] == "It has been undone."
    assert doras.get(undo.get_absolute_url()).context["page"].icon == "arrow-uturn-left"


def test_without_a_ledger_the_button_says_why_not(doras, doras_import):
    done = doras_import(ledger=False)
    buttons = doras.get(done.get_absolute_url()).context["page"].buttons
    reason = {button.action: button.reason for button in buttons}["undo"]
    assert "No ledger was kept" in reason
    answer = page_of(doras, done)
    assert reason in answer.content.decode()
    assert "Undo it</button>" not in answer.content.decode()
    refused = doras.post(f"/executions/{done.pk}/undo/", follow=True)
    assert flashes(refused) == [reason]


def test_a_dry_run_has_nothing_to_undo(doras, doras_import):
    done = doras_import(dry_run=True)
    buttons = doras.get(done.get_absolute_url()).context["page"].buttons
    assert "undo" not in {button.action for button in buttons}
    assert "It was a dry run" in page_of(doras, done).content.decode()


def test_what_was_created_is_deleted_only_by_those_who_may(leads, lead, doras_import):
    done = doras_import()
    answer = page_of(leads, done)
    said = "The undo would delete products, which your role does not allow."
    assert said in answer.content.decode()
    assert "Ask somebody with the permission catalog.delete_product" in answer.content.decode()
    assert leads.post(f"/executions/{done.pk}/undo/").status_code == 403


def test_undoing_needs_its_right(bobs, bob, doras_import):
    done = doras_import()
    JobExecution.objects.filter(pk=done.pk).update(user=bob)
    answer = bobs.post(f"/executions/{done.pk}/undo/")
    assert answer.status_code == 403
    assert "Undo it</button>" not in page_of(bobs, done).content.decode()
    assert not JobExecution.objects.exclude(undoes=None).exists()


def test_executions_of_others_are_not_there(bobs, doras_import):
    done = doras_import()
    assert page_of(bobs, done).status_code == 404
    assert bobs.post(f"/executions/{done.pk}/undo/").status_code == 404


def test_a_chain_is_undone_as_a_whole_when_asked(doras, dora, doras_import):
    first = doras_import()
    text = "sku;name\nA;Newest\n"
    second = run_now(JOB, {"ledger": True}, {"file": text.encode()}, user=dora)
    JobExecution.objects.filter(pk=second.pk).update(continues=first)
    assert sum(act.count for act in page_of(doras, second).context["undo"].acts) == 1
    whole = page_of(doras, second, "?chain=1")
    assert sum(act.count for act in whole.context["undo"].acts) == 3
    doras.post(f"/executions/{second.pk}/undo/", {"chain": "1"})
    assert JobExecution.objects.get(undoes=second).parameters["chain"] is True


def test_the_preview_and_the_control_agree(doras, doras_import):
    done = doras_import()
    counts = control.undo_preview(done).counts
    assert (
        sum(act.count for act in page_of(doras, done).context["undo"].acts)
        == counts["restore"] + counts["delete"]
    )
