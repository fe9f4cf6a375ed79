"""Roles and profiles that every installation has."""

import pytest
from django.contrib.auth.models import Group

import jobs
from jobs.models import JobProfile, Schedule
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


def test_declared_schedules_are_made_once_and_then_left_alone(monkeypatch):
    JobProfile.objects.create(code="nightly", label="Nightly", job="samples.function")
    declared = {}
    for module in ("definition", "setup"):
        monkeypatch.setattr(f"jobs.{module}.DECLARED_SCHEDULES", declared)
    jobs.schedule("nightly", profile="nightly", cron="15 3 * * *", label="Nightly")
    make_roles_and_profiles()
    made = Schedule.objects.get(code="nightly")
    assert (made.run_as, made.next_at.hour, made.next_at.minute) == (None, 3, 15)
    Schedule.objects.filter(pk=made.pk).update(cron="0 4 * * *")
    make_roles_and_profiles()
    assert Schedule.objects.get(code="nightly").cron == "0 4 * * *"


def test_a_declared_schedule_of_no_profile_is_an_error(monkeypatch):
    values = {"profile": "none", "cron": "* * * * *", "label": "Nothing"}
    monkeypatch.setattr("jobs.setup.DECLARED_SCHEDULES", {"nothing": values})
    with pytest.raises(LookupError, match="which is none"):
        make_roles_and_profiles()
