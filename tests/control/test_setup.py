"""Roles and profiles that every installation has."""

import pytest
from django.contrib.auth.models import Group

from jobs.models import JobProfile
from jobs.setup import ROLES, make_roles_and_profiles

pytestmark = pytest.mark.django_db


def codenames(role: str) -> set[str]:
    return set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))


def test_the_roles_exist_with_their_permissions():
    assert set(Group.objects.values_list("name", flat=True)) >= set(ROLES)
    assert "view_all_executions" not in codenames("User")
    assert {"launch_import", "stop_execution", "add_product"} <= codenames("User")
    assert "stop_all_executions" in codenames("Lead")
    assert not {name for name in codenames("Viewer") if name.startswith("launch")}


def test_the_catalogues_profiles_exist():
    expected = {
        "import_categories",
        "import_attributes",
        "import_attribute_options",
        "import_families",
        "import_products",
        "export_products",
    }
    assert expected <= set(JobProfile.objects.values_list("code", flat=True))


def test_the_second_time_nothing_changes_and_edits_stay():
    user = Group.objects.get(name="User")
    user.permissions.remove(user.permissions.get(codename="launch_rules"))
    profile = JobProfile.objects.get(code="import_products")
    profile.label = "Our products"
    profile.save()
    make_roles_and_profiles()
    assert "launch_rules" not in codenames("User")
    assert JobProfile.objects.get(code="import_products").label == "Our products"
