"""The permission matrix: every role, every ownership, every action, and the queryset twin."""

import itertools
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User

from jobs.conditions import Condition
from jobs.fields import field_named
from jobs.models import JobExecution, JobProfile, ProfileGrant, Upload
from jobs.permissions import (
    Denied,
    may,
    require,
    visible_profiles,
    visible_resources,
    visible_to,
)
from jobs.resources import RESOURCES
from jobs.selection import Selection
from tests.people import ImportThings, RunProgram, execution, person, two_jobs  # noqa: F401

pytestmark = pytest.mark.django_db

# What each role may do to an execution. "own": only to one's own; "all": to everybody's;
# "none": not even to one's own. What one may not see at all is 404, never 403.
ACTIONS = (
    "view", "view_contents", "stop", "pause", "resume", "activate", "abort", "delete", "continue",
    "relaunch", "for_real", "retry_failed", "undo", "download", "view_debug_log",
)  # fmt: skip
CONTROL = ("stop", "pause", "resume", "activate")
AGAIN = ("continue", "relaunch", "for_real", "retry_failed")

MATRIX: dict[str, dict[str, tuple[str, ...]]] = {
    "Viewer": {"all": ("view", "view_contents")},
    "User": {"own": ("view", "view_contents", *CONTROL, "delete", *AGAIN, "download")},
    "Data manager": {
        "own": ("view", "view_contents", *CONTROL, "delete", *AGAIN, "download", "undo"),
    },
    "Lead": {
        "all": (
            "view", "view_contents", *CONTROL, "abort", "delete", *AGAIN, "download", "undo",
        ),
    },
    "Operator": {
        "all": ("view", "view_contents", *CONTROL, "abort", "delete", "view_debug_log"),
    },
    "Auditor": {"all": ("view", "view_contents")},
    "Administrator": {"all": ACTIONS},
    "nobody": {},
}  # fmt: skip
ROLES = tuple(MATRIX)
OWNERS = ("own", "other", "nobody's")


def allowed(role: str, owner: str, action: str) -> bool:
    rights = MATRIX[role]
    return action in rights.get("all", ()) or (owner == "own" and action in rights.get("own", ()))


def sees(role: str, owner: str) -> bool:
    return allowed(role, owner, "view")


@pytest.fixture
def people(person) -> dict[str, User]:  # noqa: F811
    return {role: person(role, None if role == "nobody" else role) for role in ROLES}


@pytest.fixture
def stranger(person) -> User:  # noqa: F811
    return person("stranger")


def target(make: Any, owner: str, me: User, other: User) -> JobExecution:
    return make({"own": me, "other": other, "nobody's": None}[owner])


@pytest.mark.parametrize("role", ROLES)
def test_the_matrix(person, stranger, execution, role):  # noqa: F811
    me = person("me", None if role == "nobody" else role)
    for owner in OWNERS:
        made = target(execution, owner, me, stranger)
        for action in ACTIONS:
            decision = may(me, action, made)
            assert bool(decision) is allowed(role, owner, action), (owner, action)
            assert decision.visible is sees(role, owner), (owner, action)
            if not decision:
                assert decision.reason, (owner, action)
                assert bool(decision.needs) is decision.visible, (owner, action)


def test_the_twin_sees_what_may_sees(people, stranger, execution):  # noqa: F811
    made = [execution(user) for user in (*people.values(), stranger, None)]
    for user in (*people.values(), stranger, None, AnonymousUser()):
        expected = {one.pk for one in made if may(user, "view", one)}
        assert set(visible_to(user).values_list("pk", flat=True)) == expected, user


def test_profiles_and_their_twin(people, stranger):
    JobProfile.objects.all().delete()
    groups = {group.name: group for group in Group.objects.all()}
    profiles = []
    for number, grants in enumerate(
        [
            {},
            {"User": {"view": True}},
            {"User": {"view": False, "launch": True}},
            {"Data manager": {"view": False, "edit": True}, "Lead": {"view": True}},
            {"User": {"view": False}},
        ]
    ):
        profile = JobProfile.objects.create(
            code=f"p{number}", label=f"P{number}", job="things.import_things"
        )
        for name, rights in grants.items():
            ProfileGrant.objects.create(profile=profile, group=groups[name], **rights)
        profiles.append(profile)
    for user in (*people.values(), stranger, None, AnonymousUser()):
        expected = {one.code for one in profiles if may(user, "view", one)}
        assert set(visible_profiles(user).values_list("code", flat=True)) == expected, user
    seen = {one.code for one in profiles if may(people["User"], "view", one)}
    assert seen == {"p0", "p1", "p2"}


def test_grants_narrow_who_launches_and_edits(people):
    profile = JobProfile.objects.create(code="p", label="P", job="things.import_things")
    user, lead, manager = people["User"], people["Lead"], people["Data manager"]
    assert may(user, "launch", profile)
    assert may(manager, "edit", profile)
    ProfileGrant.objects.create(profile=profile, group=Group.objects.get(name="Lead"), launch=True)
    ProfileGrant.objects.create(
        profile=profile, group=Group.objects.get(name="Data manager"), view=True
    )
    assert not may(user, "launch", profile).visible
    assert may(lead, "launch", profile)
    assert not may(manager, "launch", profile)
    assert may(manager, "view", profile)
    assert not may(manager, "edit", profile)
    assert may(manager, "edit", profile).visible


def test_a_grant_does_not_replace_the_right_of_the_role(people):
    profile = JobProfile.objects.create(code="p", label="P", job="things.import_things")
    viewers = Group.objects.get(name="Viewer")
    ProfileGrant.objects.create(profile=profile, group=viewers, launch=True, edit=True)
    decision = may(people["Viewer"], "launch", profile)
    assert (bool(decision), decision.needs) == (False, "jobs.launch_import")
    assert may(people["Viewer"], "edit", profile).needs == "jobs.change_jobprofile"


def test_profiles_of_commands_need_a_right_of_their_own(people):
    profile = JobProfile.objects.create(code="p", label="P", job="things.run_program")
    manager = people["Data manager"]
    assert may(manager, "edit", profile).needs == "jobs.manage_commands"
    assert may(manager, "add_profile", RunProgram).needs == "jobs.manage_commands"
    assert may(manager, "add_profile", ImportThings)
    assert may(people["Administrator"], "edit", profile)


@pytest.mark.parametrize(
    ("role", "kind", "needs"),
    [
        ("User", ImportThings, ""),
        ("User", RunProgram, "jobs.launch_command"),
        ("Viewer", ImportThings, "jobs.launch_import"),
        ("Operator", ImportThings, "jobs.launch_import"),
        ("Administrator", RunProgram, ""),
    ],
)
def test_launching_is_allowed_by_type(people, role, kind, needs):
    decision = may(people[role], "launch", kind)
    assert (bool(decision), decision.needs) == (not needs, needs)


def test_launching_needs_the_rights_to_the_model_too(people, monkeypatch):
    monkeypatch.setattr(ImportThings, "permissions", ("auth.change_group",))
    assert may(people["User"], "launch", ImportThings).needs == "auth.change_group"


def test_launching_again_needs_the_right_to_launch(person, execution):  # noqa: F811
    me = person("me")
    made = execution(me)
    Group.objects.get(name="User").permissions.remove(
        Permission.objects.get(codename="launch_import")
    )
    me = User.objects.get(pk=me.pk)
    assert may(me, "relaunch", made).needs == "jobs.launch_import"
    assert may(me, "stop", made)


def test_who_may_view_a_model_sees_the_rows_of_its_resource(people):
    product = RESOURCES["catalog.product"]
    sees = {role for role, user in people.items() if may(user, "view", product)}
    assert sees == {"Viewer", "User", "Data manager", "Lead", "Auditor", "Administrator"}
    assert not may(people["Operator"], "view", product).visible
    for user in (*people.values(), None, AnonymousUser()):
        expected = [one for one in RESOURCES.values() if may(user, "view", one)]
        assert visible_resources(user) == expected


def test_the_right_to_a_model_alone_opens_no_page_of_it(people):
    nobody = people["nobody"]
    nobody.user_permissions.add(Permission.objects.get(codename="view_product"))
    nobody = User.objects.get(pk=nobody.pk)
    assert not may(nobody, "view", RESOURCES["catalog.product"]).visible


def test_sensitive_contents_are_their_owners_and_granted_groups(people, execution):  # noqa: F811
    profile = JobProfile.objects.create(
        code="p", label="P", job="things.import_things", sensitive=True
    )
    mine = execution(people["User"], profile=profile)
    for action in ("view_contents", "download"):
        assert may(people["User"], action, mine)
        refused = may(people["Lead"], action, mine)
        assert (bool(refused), refused.visible) == (False, True)
        assert "sensitive" in refused.reason
    ProfileGrant.objects.create(profile=profile, group=Group.objects.get(name="Lead"))
    assert may(people["Lead"], "download", mine)
    assert not may(people["Auditor"], "view_contents", mine)


def test_uploads_are_their_owners_alone(people):
    kept = Upload(name="a", size=1, sha256="x", user=people["User"])
    assert may(people["User"], "view", kept)
    assert not may(people["Lead"], "view", kept).visible


def test_disabled_people_may_nothing(people, execution):  # noqa: F811
    made = execution(people["Administrator"])
    for role in ("User", "Administrator"):
        user = people[role]
        user.is_active = False
        assert not may(user, "view", made).visible
        assert not visible_to(user).exists()
        assert not visible_profiles(user).exists()
    root = User(username="root", is_superuser=True, is_active=False)
    assert not may(root, "view", made)
    assert not visible_to(root).exists()


def test_superusers_and_the_platform_may_everything(person, stranger, execution):  # noqa: F811
    root = person("root", None, is_superuser=True)
    for user, action in itertools.product((root, None), ACTIONS):
        assert may(user, action, execution(stranger))


def test_a_refusal_is_raised_with_its_decision(people):
    with pytest.raises(Denied) as caught:
        require(people["User"], "operate_queues")
    assert caught.value.decision.needs == "jobs.operate_queues"
    require(people["Operator"], "operate_queues")


def test_rows_are_seen_by_who_may_view_every_model_that_they_are_read_from(people):
    product = RESOURCES["catalog.product"]
    beyond = field_named(product, "family.attribute_as_label")
    rows = Selection(resource=product, filters=(Condition(beyond.name, "empty"),))
    user = people["User"]
    assert may(user, "view", beyond)
    assert may(user, "view", rows)
    Group.objects.get(name="User").permissions.remove(
        Permission.objects.get(codename="view_family")
    )
    user = User.objects.get(pk=user.pk)
    for target in (beyond, rows):
        assert may(user, "view", target).needs == "catalog.view_family"
    assert may(user, "view", Selection(resource=product))
    assert not may(people["Operator"], "view", Selection(resource=product)).visible
