"""What a new installation needs, made after every migration: roles, profiles and schedules.

What exists already is left as its administrator has made it.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed_apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from jobs import control
from jobs.definition import DECLARED_PROFILES, DECLARED_SCHEDULES
from jobs.models import JobProfile, Schedule
from jobs.resources import RESOURCES

LAUNCH = (
    "launch_import",
    "launch_export",
    "launch_mass_edit",
    "launch_rules",
    "launch_other",
)
USER = (
    "view_tracker",
    *LAUNCH,
    "stop_execution",
    "delete_execution",
    "continue_execution",
    "download_files",
    "view_jobprofile",
)
MANAGER = (
    *USER,
    "undo_execution",
    "add_jobprofile",
    "change_jobprofile",
    "delete_jobprofile",
    "manage_rules",
    "manage_schedules",
    "review_proposals",
)
LEAD = (*USER, "view_all_executions", "stop_all_executions", "undo_execution", "abort_execution")
OPERATOR = (
    "view_tracker",
    "view_all_executions",
    "stop_execution",
    "stop_all_executions",
    "abort_execution",
    "delete_execution",
    "operate_queues",
    "view_debug_log",
    "view_jobprofile",
)
VIEWER = ("view_tracker", "view_all_executions", "view_jobprofile")
AUDITOR = ("view_tracker", "view_all_executions", "view_audit", "view_jobprofile")

ROLES: dict[str, tuple[str, ...]] = {
    "Viewer": VIEWER,
    "User": USER,
    "Data manager": MANAGER,
    "Lead": LEAD,
    "Operator": OPERATOR,
    "Auditor": AUDITOR,
    "Administrator": (),  # every permission there is
}
# What each role may do to the models that resources describe.
MODEL_RIGHTS = {
    "Viewer": ("view",),
    "User": ("view", "add", "change"),
    "Data manager": ("view", "add", "change", "delete"),
    "Lead": ("view", "add", "change"),
    "Auditor": ("view",),
}


@transaction.atomic
def make_roles_and_profiles(**_: Any) -> None:
    """Make the ready-made roles and the profiles that apps declare, unless they exist.

    Connected to the post_migrate signal of this app, which comes when all apps' tables exist but
    not yet all their permissions.
    """
    for config in installed_apps.get_app_configs():
        create_permissions(config, verbosity=0)
    for name, permissions in ROLES.items():
        role, new = Group.objects.get_or_create(name=name)
        if name == "Administrator":
            role.permissions.add(*Permission.objects.all())
        elif new:
            role.permissions.add(*_own(permissions))
    _grant_model_rights()
    for code, values in DECLARED_PROFILES.items():
        JobProfile.objects.get_or_create(code=code, defaults=values)
    for code, values in DECLARED_SCHEDULES.items():
        _make_schedule(code, **values)


def _make_schedule(code: str, *, profile: str, **values: Any) -> None:
    if Schedule.objects.filter(code=code).exists():
        return
    launched = JobProfile.objects.filter(code=profile).first()
    if launched is None:
        raise LookupError(f"The schedule {code!r} is of the profile {profile!r}, which is none.")
    control.save_schedule(Schedule(code=code, profile=launched, **values))


def _own(codenames: tuple[str, ...]) -> list[Permission]:
    return list(Permission.objects.filter(content_type__app_label="jobs", codename__in=codenames))


def _grant_model_rights() -> None:
    """Give the roles their rights to a resource's model, once: when no role has any to it yet."""
    for described in RESOURCES.values():
        meta = described.model._meta
        of_model = Permission.objects.filter(
            content_type__app_label=meta.app_label, content_type__model=meta.model_name
        )
        if Group.objects.filter(name__in=MODEL_RIGHTS, permissions__in=of_model).exists():
            continue
        for name, rights in MODEL_RIGHTS.items():
            names = [f"{right}_{meta.model_name}" for right in rights]
            Group.objects.get(name=name).permissions.add(*of_model.filter(codename__in=names))
