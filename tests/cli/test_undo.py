"""`manage.py jobs undo`."""

import pytest

from catalog.jobs import ProductResource
from catalog.models import Product
from jobs.definition import register
from jobs.models import JobExecution
from jobs.recipes.imports import ImportJob
from jobs.testing import run_now
from jobs.undo import UNDO, Undo
from tests.cli.test_jobs_command import run

pytestmark = pytest.mark.django_db
PRODUCTS = "things.import_products"


@pytest.fixture(autouse=True)
def _jobs(two_jobs):
    """The import of products and undo, beside the jobs of the other tests."""
    register(PRODUCTS, type("ImportProducts", (ImportJob,), {"resource": ProductResource}))
    register(UNDO, Undo)


def test_a_preview_counts_and_launches_nothing():
    made = run_now(PRODUCTS, {"ledger": True}, {"file": b"sku;name\na;A\nb;B\nc;C\n"})
    Product.objects.filter(sku="b").update(name="Mine")
    found = run("undo", made.pk, "--preview")
    assert (found.status, found.err) == (0, "2 would be undone, 1 left alone.\n")
    assert found.out.split() == ["1", "changed_since", "2", "delete"]
    assert not JobExecution.objects.filter(undoes=made).exists()


def test_it_prints_the_id_of_the_undo():
    made = run_now(PRODUCTS, {"ledger": True}, {"file": b"sku;name\na;A\n"})
    found = run("undo", made.pk, "--chain")
    undo = JobExecution.objects.get(undoes=made)
    assert (found.status, found.out) == (0, f"{undo.pk}\n")
    assert undo.parameters == {"execution": str(made.pk), "chain": True}
    assert run("undo", made.pk).err == "It is being undone.\n"


def test_without_a_ledger_or_a_right_it_says_so(person):
    bob = person("bob")
    made = run_now(PRODUCTS, {}, {"file": b"sku;name\na;A\n"}, user=bob)
    found = run("undo", made.pk)
    assert (found.status, "No ledger was kept" in found.err) == (1, True)
    found = run("undo", made.pk, "--user", "bob")
    assert (found.status, found.err) == (1, "Your role does not allow you to undo jobs.\n")
