"""Related rows that a file names and that are not there yet."""

import pytest
from django.contrib.auth.models import Permission, User

from catalog.models import Category, Family, Product
from jobs.api.parameter_schema import schema_of
from jobs.control import Denied
from jobs.definition import InvalidParameters, find
from jobs.testing import run_now
from tests.recipes.driver import load

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"
BOTH = ["family", "categories"]


def test_missing_rows_of_relations_are_created_when_asked_for(families):
    file = 'sku;family;categories\na;boots;"shoes,new,New"\nb;BOOTS;hats\nc;socks;\n'
    assert load(PRODUCTS, file).counts == {"failed": 3}
    loaded = load(PRODUCTS, file, size=2, create_missing=BOTH)
    assert (loaded.counts, loaded.warnings) == ({"created": 3}, [])
    assert set(Family.objects.values_list("code", flat=True)) >= {"shoes", "Hats", "socks"}
    assert Family.objects.count() == 4
    assert Category.objects.count() == 3
    assert Product.objects.get(sku="a").categories.count() == 2
    assert loaded.said[-1] == "Created missing families: 'socks'."
    assert load(PRODUCTS, file, create_missing=BOTH).counts == {"unchanged": 3}


def test_only_the_relations_that_are_named_are_created(families):
    loaded = load(PRODUCTS, "sku;family;categories\na;boots;new\n", create_missing=["family"])
    assert loaded.codes == [(1, "categories", "unknown_reference")]
    assert Category.objects.filter(code="new").count() == 0


def test_a_code_that_the_model_refuses_is_not_created(families):
    loaded = load(PRODUCTS, f"sku;family\na;{'x' * 101}\nb;ok\n", create_missing=["family"])
    assert loaded.codes == [(1, "family", "unknown_reference")]
    assert loaded.counts == {"created": 1, "failed": 1}


def test_a_dry_run_creates_nothing_and_says_what_it_would(families):
    file = b"sku;family;categories\na;boots;new\nb;boots;shoes\n"
    given = {"create_missing": BOTH, "dry_run": True}
    done = run_now(PRODUCTS, given, {"file": file})
    assert (done.status, done.error) == ("completed", "")
    assert done.steps.get().created == 2
    assert sorted(done.warnings.values_list("code", "column", "message", "outcome")) == [
        ("would_create", "categories", "There is no category 'new'; it would be created.", "kept"),
        ("would_create", "family", "There is no family 'boots'; it would be created.", "kept"),
    ]
    assert Family.objects.count() == Category.objects.count() == 2
    assert Product.objects.count() == 0


def test_only_relations_that_need_nothing_but_a_code_are_offered():
    schema = schema_of(find(PRODUCTS))["properties"]["create_missing"]
    assert schema["items"]["enum"] == BOTH
    # An attribute needs a type.
    assert "create_missing" not in find("catalog.attribute_option.import").Parameters.base_fields
    with pytest.raises(InvalidParameters):
        run_now(PRODUCTS, {"create_missing": ["sku"]}, {"file": b"sku\na\n"})


def test_creating_related_rows_needs_the_right_to_add_them(families):
    user = User.objects.create_user("ann")
    codes = ["view_tracker", "launch_import", "add_product", "change_product"]
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    given = {"create_missing": ["family"]}
    with pytest.raises(Denied, match=r"needs the permission catalog\.add_family"):
        run_now(PRODUCTS, given, {"file": b"sku;family\na;boots\n"}, user=user)
    user.user_permissions.add(Permission.objects.get(codename="add_family"))
    user = User.objects.get(pk=user.pk)
    assert run_now(PRODUCTS, given, {"file": b"sku;family\na;boots\n"}, user=user).status == (
        "completed"
    )
