"""The tab with the rows of an execution: what became of each, before and after."""

import pytest

from catalog.jobs import ProductResource
from catalog.models import Category, Family
from jobs.definition import register
from jobs.models import RowChange
from jobs.states import Status
from tests.site.support import ImportThings


class ImportProducts(ImportThings):
    """Import products."""

    resource = ProductResource


@pytest.fixture
def imported(bob, execution):
    """Make an import of products with lines in its ledger."""
    register("things.import_products", ImportProducts, type="import")

    def make(*changes: dict, **fields):
        fields = {"parameters": {"ledger": True}, "job": "things.import_products"} | fields
        done = execution(bob, Status.COMPLETED, **fields)
        RowChange.objects.bulk_create(
            RowChange(execution=done, **{"row": number, "target": str(number), **change})
            for number, change in enumerate(changes, 1)
        )
        return done

    return make


def updated(key, before, after):
    return {"key": key, "outcome": "updated", "before": before, "after": after}


def read(client, execution, query=""):
    return client.get(f"/executions/{execution.pk}/?tab=rows{query}")


def shown(client, execution, query=""):
    """What the page says of each row: {key: [(field, before, after), …]}."""
    lines = read(client, execution, query).context["changes"].lines
    return {
        line.change.key: [(one.field, one.before, one.after) for one in line.differences]
        for line in lines
    }


def test_a_row_is_shown_before_and_after_with_codes_for_keys(bobs, imported):
    shoes, hats = (Family.objects.create(code=code) for code in ("shoes", "hats"))
    tree = Category.objects.create(code="tree")
    done = imported(
        updated("A", {"family_id": shoes.pk, "price_eur": 1.5},
                {"family_id": hats.pk, "price_eur": None}),
        updated("B", {"categories": []}, {"categories": [tree.pk, 999]}),
    )  # fmt: skip
    assert shown(bobs, done) == {
        "A": [("Family", "shoes", "hats"), ("Price in euros", "1.5", None)],
        "B": [("Categories", None, "tree, #999")],
    }
    page = read(bobs, done).content.decode()
    assert "<del>shoes</del>" in page
    assert "<ins>hats</ins>" in page
    assert "<ins>nothing</ins>" in page


def test_of_a_json_field_only_the_keys_that_differ_are_shown(bobs, imported):
    before = {"values": {"color": "red", "weight": {"amount": "1", "unit": "KILOGRAM"}, "ean": "1"}}
    after = {
        "values": {
            "color": "<b>blue</b>",
            "weight": {"amount": "2", "unit": "KILOGRAM"},
            "ean": "1",
        }
    }
    done = imported(updated("A", before, after))
    assert shown(bobs, done) == {
        "A": [
            ("Values: color", "red", "<b>blue</b>"),
            ("Values: weight", "unit: KILOGRAM, amount: 1", "unit: KILOGRAM, amount: 2"),
        ]
    }
    assert "&lt;b&gt;blue&lt;/b&gt;" in read(bobs, done).content.decode()


def test_created_and_deleted_rows_have_one_side(bobs, imported):
    done = imported(
        {"key": "N", "outcome": "created", "after": {"id": 7, "sku": "N", "enabled": True}},
        {"key": "D", "outcome": "deleted", "before": {"id": 8, "sku": "D"}},
        {"key": "U", "outcome": "unchanged"},
    )
    assert shown(bobs, done) == {
        "N": [("SKU", None, "N"), ("Enabled", None, "Yes")],
        "D": [("SKU", "D", None)],
        "U": [],
    }


def test_rows_are_found_by_outcome_and_by_the_beginning_of_their_key(bobs, imported):
    done = imported(
        updated("SKU-1", {"name": "a"}, {"name": "b"}),
        {"key": "sku-2", "outcome": "unchanged"},
        {"key": "X", "outcome": "unchanged"},
    )
    assert set(shown(bobs, done, "&key=sku")) == {"SKU-1", "sku-2"}
    assert set(shown(bobs, done, "&outcome=unchanged")) == {"sku-2", "X"}
    assert set(shown(bobs, done, "&outcome=unchanged&key=s")) == {"sku-2"}
    assert "No row matches." in read(bobs, done, "&key=100%25").content.decode()


def test_rows_are_turned_page_by_page_within_what_is_chosen(bobs, imported):
    done = imported(*({"key": f"K{n}", "outcome": "unchanged"} for n in range(120)))
    keys, at = [], "?tab=rows&outcome=unchanged"
    while at:
        page = bobs.get(f"/executions/{done.pk}/{at}").context["changes"]
        keys += [line.change.key for line in page.lines]
        at = page.next
    assert keys == [f"K{n}" for n in range(120)]
    assert len(shown(bobs, done, "&after=x")) == 50


def test_without_a_ledger_the_page_says_why_and_how_to_have_one(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED)
    page = read(bobs, done).content.decode()
    assert "No ledger was kept." in page
    assert "Switch on “Keep a ledger” under Safety" in page


def test_an_export_has_no_rows_to_show(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED, type="export")
    tabs = bobs.get(done.get_absolute_url()).context["page"].tabs
    assert "rows" not in {tab.name for tab in tabs}


def test_rows_of_other_people_are_shown_to_those_who_see_contents(bobs, imported, lead, execution):
    theirs = execution(lead)
    assert read(bobs, theirs).status_code == 404


def test_a_page_of_rows_costs_few_queries(bobs, imported, django_assert_max_num_queries):
    families = [Family.objects.create(code=f"f{n}") for n in range(9)]
    done = imported(
        *(updated(f"K{n}", {"family_id": families[0].pk}, {"family_id": families[n % 9].pk})
          for n in range(60))
    )  # fmt: skip
    with django_assert_max_num_queries(10):
        assert read(bobs, done).status_code == 200
