"""The ledger of an execution, and undoing it, over REST."""

import pytest

from catalog.jobs import ProductResource
from catalog.models import Product
from jobs.definition import register
from jobs.recipes.imports import ImportJob
from jobs.testing import run_now
from jobs.undo import UNDO, Undo
from tests.api.support import Api

pytestmark = pytest.mark.django_db
PRODUCTS = "things.import_products"


@pytest.fixture(autouse=True)
def _jobs(two_jobs):
    """The import of products and undo, beside the jobs of the other tests."""
    kind = type("ImportProducts", (ImportJob,), {"resource": ProductResource})
    register(PRODUCTS, kind)
    register(UNDO, Undo)


@pytest.fixture
def imported(bob):
    """An import with a ledger: one row created, one updated, one unchanged."""
    run_now(PRODUCTS, {}, {"file": b"sku;name\na;A\nb;B\n"}, user=bob)
    text = b"sku;name\na;New\nb;B\nc;C\n"
    return run_now(PRODUCTS, {"ledger": True}, {"file": text}, user=bob)


def test_rows_are_listed_with_their_images(api, imported):
    found = api.get(f"executions/{imported.pk}/rows/").json()
    assert found["next"] is None
    assert [(row["row"], row["key"], row["outcome"]) for row in found["results"]] == [
        (1, "a", "updated"),
        (2, "b", "unchanged"),
        (3, "c", "created"),
    ]
    first = found["results"][0]
    assert (first["before"], first["after"]) == ({"name": "A"}, {"name": "New"})


def test_rows_are_narrowed_by_outcome_and_key(api, imported):
    path = f"executions/{imported.pk}/rows/"
    for query, keys in (("outcome=created", ["c"]), ("key=b", ["b"]), ("key=x", [])):
        rows = api.get(f"{path}?{query}").json()["results"]
        assert [row["key"] for row in rows] == keys
    api.problem(api.get(f"{path}?outcome=lost"), 400, "bad-query")


def test_undo_is_previewed_and_launched(bob, imported):
    bob.groups.set([])
    bob.is_superuser = True
    bob.save()
    api = Api(bob)
    Product.objects.filter(sku="c").update(name="Mine")
    path = f"executions/{imported.pk}/undo/"
    preview = api.get(path).json()
    assert (preview["undone"], preview["conflicts"]) == (1, 1)
    changed, restored = preview["verdicts"]
    assert (changed["verdict"], changed["count"]) == ("changed_since", 1)
    assert "name is “Mine”" in changed["examples"][0]["message"]
    assert restored["examples"][0] | {"row": None} == {
        "row": None,
        "key": "a",
        "now": {"name": "New"},
        "then": {"name": "A"},
        "message": "",
    }
    answer = api.send(path, {})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["undoes"] == str(imported.pk)
    api.problem(api.send(path, {}), 409, "refused")
    assert api.get(f"executions/{imported.pk}/").json()["actions"]["undo"] == {
        "allowed": False,
        "reason": "It is being undone.",
    }


def test_without_a_ledger_it_says_what_to_switch_on(api, bob):
    made = run_now(PRODUCTS, {}, {"file": b"sku\na\n"}, user=bob)
    problem = api.problem(api.get(f"executions/{made.pk}/undo/"), 409, "refused")
    assert "Switch on “Keep a ledger”" in problem["detail"]
    action = api.get(f"executions/{made.pk}/").json()["actions"]["undo"]
    assert action == {"allowed": False, "reason": problem["detail"]}


@pytest.mark.parametrize("part", ["rows", "undo"])
def test_the_standard_cases(person, imported, part):
    path = f"executions/{imported.pk}/{part}/"
    other = Api(person("ann"))
    other.problem(other.get(path), 404, "not-found")
    viewer = Api(person("viewer", "Viewer"))
    assert viewer.get(path).status_code == 200
    viewer.problem(viewer.get(f"{path}?unknown=1"), 400, "bad-query")
    Api().problem(Api().get(path), 401, "unauthorized")


def test_undo_needs_its_right_and_those_of_the_model(bob, person, imported):
    path = f"executions/{imported.pk}/undo/"
    assert (
        Api(bob).problem(Api(bob).send(path, {}), 403, "denied")["needs"] == "jobs.undo_execution"
    )
    lead = Api(person("leo", "Lead"))
    denied = lead.problem(lead.send(path, {}), 403, "denied")
    assert denied["needs"] == "catalog.delete_product"
    lead.problem(lead.send(path, {"all": 1}), 422, "invalid")
    viewer = Api(person("viewer", "Viewer"))
    viewer.problem(viewer.send(path, {}), 403, "denied")


def test_the_undo_of_a_stranger_is_not_there(person, imported):
    other = Api(person("mia", "Data manager"))
    other.problem(other.send(f"executions/{imported.pk}/undo/", {}), 404, "not-found")
