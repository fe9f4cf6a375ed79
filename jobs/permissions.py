"""Who may do what. `may()` decides, for every page, API route, file, bulk action and command.

`may(user, action, target)` answers with the reason; `visible_to(user)` is its queryset twin for
lists. What a person cannot see does not exist for them (404); what they see but may not do is
refused with the reason (403). Rights are read anew at every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, Q, QuerySet

from jobs.definition import Job
from jobs.fields import Field
from jobs.models import JobExecution, JobProfile, Notification, Schedule, Upload
from jobs.models.notification import NotificationQuerySet
from jobs.resources import RESOURCES, ResourceClass
from jobs.selection import Selection

Person = User | AnonymousUser

# Types with a launch permission of their own; all others fall under launch_other.
LAUNCH_TYPES = frozenset({"import", "export", "mass_edit", "rules", "command"})

CONTROLS = frozenset({"stop", "pause", "resume", "activate"})
NEEDS = {
    "abort": "jobs.abort_execution",
    "delete": "jobs.delete_execution",
    "continue": "jobs.continue_execution",
    "relaunch": "jobs.continue_execution",
    "for_real": "jobs.continue_execution",
    "retry_failed": "jobs.continue_execution",
    "undo": "jobs.undo_execution",
}

VERBS = {"change": "change", "delete": "delete", "add": "create"}
UNDOES = (("created", "delete"), ("deleted", "add"))  # what it did, and what undoes it


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of `may()`; true when allowed. `needs` names the missing permission."""

    allowed: bool
    reason: str = ""
    needs: str = ""
    visible: bool = True

    def __bool__(self) -> bool:
        return self.allowed


class Denied(Exception):
    """Something was asked for that `may()` refuses."""

    def __init__(self, decision: Decision):
        self.decision = decision
        super().__init__(decision.reason)


YES = Decision(True)
INVISIBLE = Decision(False, "There is nothing here that you may see.", visible=False)


def may(user: Person | None, action: str, target: Any = None) -> Decision:
    """Whether `user` may do `action` to `target`, and if not, why not.

    `target` is a JobExecution, a JobProfile, a Schedule, a Notification, a Job class, a Resource
    class, a Selection of its rows, a Field of them, an Upload, or None for `view_tracker` and other
    plain permissions given as an action. No user at all means the platform itself.
    """
    if user is None:
        return YES
    if not user.is_active or user.is_anonymous:
        return Decision(False, "You are not signed in.", visible=False)
    if isinstance(target, Notification):  # not even a superuser reads other people's
        return _own(user, action, target)
    if user.is_superuser:
        return YES
    if isinstance(target, type):
        return _job(user, action, target) if issubclass(target, Job) else _resource(user, target)
    for kind, decide in RULES.items():
        if isinstance(target, kind):
            return decide(user, action, target)
    return _permission(user, f"jobs.{action}", f"Your role does not allow you to {_words(action)}.")


def may_launch_with(user: Person | None, job: type[Job], parameters: dict[str, Any]) -> Decision:
    """Whether `user` may launch a job with these parameters, if they may launch it at all."""
    if user is None or user.is_superuser:
        return YES
    for name in sorted(job.needs(parameters)):
        said = f"“{job.label}” as asked for needs the permission {name}, which your role has not."
        if not (decision := _permission(user, name, said)):
            return decision
    return YES


def require(user: Person | None, action: str, target: Any = None) -> None:
    """Raise Denied unless `user` may."""
    decision = may(user, action, target)
    if not decision:
        raise Denied(decision)


def visible_to(user: Person | None) -> QuerySet[JobExecution]:
    """The executions that `user` may see: the twin of `may(user, "view", execution)`."""
    executions = JobExecution.objects.all()
    if user is None or _sees_all(user):
        return executions
    if not user.is_active or not user.has_perm("jobs.view_tracker"):
        return executions.none()
    return executions.filter(user_id=user.pk)


def visible_profiles(user: Person | None) -> QuerySet[JobProfile]:
    """The profiles that `user` may see: the twin of `may(user, "view", profile)`."""
    profiles = JobProfile.objects.all()
    if user is None or (user.is_active and user.is_superuser):
        return profiles
    if not user.is_active or not user.has_perm("jobs.view_tracker"):
        return profiles.none()
    granted = Q(grants__view=True) | Q(grants__launch=True) | Q(grants__edit=True)
    mine = JobProfile.objects.filter(granted, grants__group__user=user.pk)
    return profiles.filter(Q(grants=None) | Q(pk__in=mine.values("pk")))


def visible_schedules(user: Person | None) -> QuerySet[Schedule]:
    """The schedules that `user` may see: those of the profiles that they may see."""
    schedules = Schedule.objects.all()
    return schedules if user is None else schedules.filter(profile__in=visible_profiles(user))


def visible_resources(user: Person | None) -> list[ResourceClass]:
    """The resources whose rows `user` may see: the twin of `may(user, "view", resource)`."""
    return [resource for resource in RESOURCES.values() if may(user, "view", resource)]


def visible_notifications(user: Person) -> NotificationQuerySet:
    """One's own, always."""
    return Notification.objects.filter(user=user.pk if user.is_active else None)


def _sees_all(user: Person) -> bool:
    return user.is_active and (user.is_superuser or user.has_perm("jobs.view_all_executions"))


def _execution(user: Person, action: str, execution: JobExecution) -> Decision:
    own = execution.user_id == user.pk
    if not (_sees_all(user) or (own and user.has_perm("jobs.view_tracker"))):
        return INVISIBLE
    if action == "view":
        return YES
    if action == "view_contents":  # console, warnings
        return _contents(user, execution, own)
    if action in {"download", "view_debug_log"}:
        name = {"download": "download_files"}.get(action, action)
        said = f"Your role does not allow you to {_words(name)}."
        return _permission(user, f"jobs.{name}", said) and _contents(user, execution, own)
    if action in CONTROLS:
        return _control(user, action, own)
    missing = _permission(
        user, NEEDS[action], f"Your role does not allow you to {_words(action)} jobs."
    )
    if not missing or action in {"delete", "undo"}:
        allowed = missing and _control(user, action, own)
        return _rows(user, execution) if allowed and action == "undo" else allowed
    if action == "abort":
        return _control(user, action, own)
    return _launch_again(user, execution)


def _rows(user: Person, execution: JobExecution) -> Decision:
    """Undoing it changes rows of its model, deletes those it created, and so on."""
    model, decision = execution.ledger_model, YES
    if model is None:
        return decision
    meta, steps = model._meta, list(execution.steps.all())
    rights = ["change", *(right for did, right in UNDOES if any(getattr(s, did) for s in steps))]
    for right in rights:
        name = f"{meta.app_label}.{right}_{meta.model_name}"
        said = (
            f"The undo would {VERBS[right]} {meta.verbose_name_plural}, which your role does not"
            f" allow. Ask somebody with the permission {name} to do it."
        )
        decision = decision and _permission(user, name, said)
    return decision


def _contents(user: Person, execution: JobExecution, own: bool) -> Decision:
    profile = execution.profile
    if own or profile is None or not profile.sensitive or _granted(user, profile, "view"):
        return YES
    return Decision(False, f"“{profile.label}” is sensitive: its contents are its owner's.")


def _control(user: Person, action: str, own: bool) -> Decision:
    """Own executions need stop_execution, other people's stop_all_executions."""
    name, whose = ("stop_execution", "") if own else ("stop_all_executions", " of other people")
    said = f"Your role does not allow you to {_words(action)} jobs{whose}."
    return _permission(user, f"jobs.{name}", said)


def _launch_again(user: Person, execution: JobExecution) -> Decision:
    target = execution.profile or execution.definition
    if target is None:
        return Decision(False, f"The job {execution.job!r} is no longer installed.")
    decision, job = may(user, "launch", target), execution.definition
    return decision and (may_launch_with(user, job, execution.parameters) if job else YES)


def _profile(user: Person, action: str, profile: JobProfile) -> Decision:
    if profile.pk is None and profile.definition and action in {"launch", "choose_place"}:
        return _job(user, action, profile.definition)  # not stored, it stands for its job alone
    granted = not profile.grants.exists() or _granted(user, profile, "view", "launch", "edit")
    if not (granted and user.has_perm("jobs.view_tracker")):
        return INVISIBLE
    if action == "view":
        return YES
    if action == "launch":
        return _launch_profile(user, profile)
    if action == "choose_place":
        return _choose_place(user)
    if profile.grants.exists() and not _granted(user, profile, "edit"):
        return Decision(False, f"“{profile.label}” is edited by other groups than yours.")
    said = f"Your role does not allow you to {_words(action)} profiles."
    name = f"jobs.{'change' if action == 'edit' else action}_jobprofile"
    decision = _permission(user, name, said) and _commands(user, profile.type)
    # A schedule of the platform launches it as it stands, so what launching needs, editing does.
    return decision and _job_rights(user, profile.definition)


def _launch_profile(user: Person, profile: JobProfile) -> Decision:
    if profile.definition is None:
        return Decision(False, f"The job {profile.job!r} is no longer installed.")
    if profile.grants.exists() and not _granted(user, profile, "launch"):
        return Decision(False, f"“{profile.label}” is launched by other groups than yours.")
    return _launch(user, profile.definition)


def _schedule(user: Person, action: str, schedule: Schedule) -> Decision:
    """`view`, `switch` it on and off, `change` and `delete`.

    Who changes a schedule decides what is done in the name of the person it runs as.
    """
    if not may(user, "view", schedule.profile):
        return INVISIBLE
    if action == "view":
        return YES
    managed = _permission(
        user, "jobs.manage_schedules", "Your role does not allow you to manage schedules."
    )
    if not managed or action == "switch" or schedule.run_as_id == user.pk:
        return managed
    who = schedule.run_as or "the platform"
    said = f"It runs as {who}: only an administrator may {action} it."
    return _permission(user, "auth.change_user", said)


def runs_as_others(user: Person) -> bool:
    """Whether schedules of `user` may run as somebody else: who may change people may that too."""
    return user.has_perm("auth.change_user")


def _commands(user: Person, kind: str) -> Decision:
    """A profile of a command says which programs run: more than any other profile."""
    if kind != "command":
        return YES
    said = "Your role does not allow you to manage command jobs."
    return _permission(user, "jobs.manage_commands", said)


def _granted(user: Person, profile: JobProfile, *rights: str) -> bool:
    wanted = Q()
    for right in rights:
        wanted |= Q(**{right: True})
    return profile.grants.filter(wanted, group__user=user.pk).exists()


def _job(user: Person, action: str, job: type[Job]) -> Decision:
    """`view`, `launch`, `choose_place`, or `add_profile`: make a profile of it."""
    if not user.has_perm("jobs.view_tracker"):
        return INVISIBLE
    if action == "view":
        return YES
    if action == "add_profile":
        said = "Your role does not allow you to add profiles."
        return _permission(user, "jobs.add_jobprofile", said) and _commands(user, job.type)
    if action == "choose_place":
        return _choose_place(user)
    return _launch(user, job)


def _resource(user: Person, resource: Any) -> Decision:
    """`view` its rows; to import and export them is to launch its jobs."""
    meta = resource.model._meta
    sees = user.has_perms(["jobs.view_tracker", f"{meta.app_label}.view_{meta.model_name}"])
    return YES if sees else INVISIBLE


def _selection(user: Person, action: str, selection: Selection) -> Decision:
    """`view` rows, by what they are chosen, ordered and shown by."""
    return may(user, action, selection.resource) and _models(user, selection.models())


def _field(user: Person, action: str, field: Field) -> Decision:
    """`view` a value, which may be that of a related row."""
    return _models(user, field.models)


def _models(user: Person, models: Iterable[type[Model]]) -> Decision:
    """Whether `user` may view all of these models."""
    for meta in (model._meta for model in models):
        name = f"{meta.app_label}.view_{meta.model_name}"
        if not user.has_perm(name):
            said = f"Your role does not allow you to view {meta.verbose_name_plural}."
            return Decision(False, said, needs=name)
    return YES


def _launch(user: Person, job: type[Job]) -> Decision:
    kind = job.type if job.type in LAUNCH_TYPES else "other"
    what = {"mass_edit": "mass edits", "rules": "rules", "other": f"“{job.label}”"}
    said = f"Your role does not allow you to launch {what.get(kind, kind + 's')}."
    return _permission(user, f"jobs.launch_{kind}", said) and _job_rights(user, job)


def _job_rights(user: Person, job: type[Job] | None) -> Decision:
    """The permissions that the job itself asks for."""
    decision = YES
    if job is not None:
        for name in job.permissions:
            decision = decision and _permission(
                user, name, f"“{job.label}” needs the permission {name}, which your role has not."
            )
    return decision


def _choose_place(user: Person) -> Decision:
    """Where files come from and go to, other than the profile says: it reaches every credential."""
    said = "Your role does not allow you to choose a place: leave place and path as they are."
    return _permission(user, "jobs.manage_credentials", said)


def _own(user: Person, action: str, target: Upload | Notification) -> Decision:
    return YES if target.user_id == user.pk else INVISIBLE


def _permission(user: Person, name: str, otherwise: str) -> Decision:
    return YES if user.has_perm(name) else Decision(False, otherwise, needs=name)


def _words(action: str) -> str:
    return action.replace("_", " ")


RULES: dict[type, Callable[[Person, str, Any], Decision]] = {
    JobExecution: _execution,
    JobProfile: _profile,
    Schedule: _schedule,
    Upload: _own,
    Selection: _selection,
    Field: _field,
}
