"""Django's admin: profiles are edited here, executions watched and stopped, tokens revoked.

Rights are those of `jobs.permissions.may`, not Django's own per model. Roles are Django's groups
and have their page in Django's own part of the admin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import control, outbox
from jobs.credentials_admin import CredentialAdmin
from jobs.definition import REGISTRY
from jobs.invariants_admin import InvariantsAdmin
from jobs.models import (
    ApiToken,
    Credential,
    InvariantCheck,
    JobExecution,
    JobProfile,
    OutboxMessage,
    ProfileGrant,
    Schedule,
    StatusChange,
    StepExecution,
    Worker,
)
from jobs.permissions import may, visible_profiles, visible_to
from jobs.schedules_admin import ScheduleAdmin

COUNTED_AT_MOST = 10_000

admin.site.register(Credential, CredentialAdmin)
admin.site.register(InvariantCheck, InvariantsAdmin)
admin.site.register(Schedule, ScheduleAdmin)


class CappedPaginator(Paginator):
    """Counts to 10,000 and no further: an exact count of a million rows takes seconds."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet", self.object_list)
        return rows[: COUNTED_AT_MOST + 1].count()


class ReadOnly(admin.ModelAdmin):
    """Nothing is added, changed or deleted by hand."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


class Part(admin.TabularInline):
    """Rows that belong to an execution; who sees it sees them."""

    extra = 0
    can_delete = False

    def has_view_permission(self, *_: Any) -> bool:
        return True

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False


class Steps(Part):
    model = StepExecution
    fields = readonly_fields = (
        "label",
        "status",
        "processed",
        "total",
        "failed",
        "skipped",
        "warnings_count",
        "started_at",
        "finished_at",
    )


class History(Part):
    model = StatusChange
    fields = readonly_fields = ("at", "event", "before", "after", "by", "reason")
    verbose_name_plural = "history"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("by")


class GrantInline(admin.TabularInline):
    """Who may edit a profile may say who else may."""

    model = ProfileGrant
    extra = 0

    def has_view_permission(self, *_: Any) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: JobProfile | None = None) -> bool:
        return _may_edit(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: JobProfile | None = None) -> bool:
        return _may_edit(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: JobProfile | None = None) -> bool:
        return _may_edit(request, obj)


def _may_edit(request: HttpRequest, profile: JobProfile | None) -> bool:
    if profile is None or profile.pk is None:
        return bool(may(request.user, "add_jobprofile"))
    return bool(may(request.user, "edit", profile))


class ProfileForm(forms.ModelForm):
    """Checks the parameters with the job's own form."""

    user: Any = None  # set by ProfileAdmin.get_form

    job = forms.ChoiceField(choices=lambda: [(name, name) for name in sorted(REGISTRY)])

    class Meta:
        model = JobProfile
        fields = (
            "code",
            "label",
            "description",
            "job",
            "parameters",
            "locked",
            "queue",
            "priority",
            "concurrency",
            "overlap",
            "start_rate",
            "node",
            "node_roles",
            "timeout_seconds",
            "stop_grace_seconds",
            "enabled",
            "sensitive",
        )

    def clean_parameters(self) -> dict[str, Any]:
        parameters = self.cleaned_data["parameters"] or {}
        if not isinstance(parameters, dict):
            raise forms.ValidationError('Parameters are a JSON object, as {"name": "value"}.')
        return parameters

    def clean_locked(self) -> list[str]:
        locked = self.cleaned_data["locked"] or []
        if not isinstance(locked, list):
            raise forms.ValidationError('Locked parameters are a JSON list, as ["name"].')
        return locked

    def clean(self) -> None:
        super().clean()
        job, parameters = self.cleaned_data.get("job"), self.cleaned_data.get("parameters")
        if not job or parameters is None:
            return
        names = ("locked", "concurrency", "start_rate")
        given = {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}
        checked = JobProfile(pk=self.instance.pk, job=job, parameters=parameters, **given)
        try:
            control.check_profile(checked, by=self.user)
        except control.Denied as denied:
            self.add_error("parameters", str(denied))
        decision = may(self.user, "add_profile", REGISTRY[job])
        if "job" in self.changed_data and not decision:
            self.add_error("job", decision.reason)


@admin.register(JobProfile)
class ProfileAdmin(admin.ModelAdmin):
    form = ProfileForm
    inlines = (GrantInline,)
    list_display = ("label", "code", "job", "enabled", "sensitive", "version", "updated_at")
    list_filter = ("enabled", "sensitive")
    search_fields = ("label", "code", "job")
    readonly_fields = ("version", "created_at", "updated_at")
    actions = ("stop_all",)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None that deletes: that is done one by one, so that each refusal is seen."""
        found = super().get_actions(request)
        found.pop("delete_selected", None)
        return found if may(request.user, "stop_execution") else {}

    @admin.action(description="Stop all open executions")
    def stop_all(self, request: HttpRequest, profiles: QuerySet[JobProfile]) -> HttpResponse | None:
        """Say what would be stopped; when that is confirmed, stop it."""
        by = cast("User", request.user)
        scopes = {found: control.Scope(kind="profile", id=found.code) for found in profiles}
        if "confirmed" not in request.POST:
            plans = [(found, control.plan(by, scope)) for found, scope in scopes.items()]
            title = "Stop all open executions"
            context = {**self.admin_site.each_context(request), "title": title, "plans": plans}
            return render(request, "admin/jobs/stop_all.html", context)
        for found, scope in scopes.items():
            _tell(request, found, control.stop_all(scope, by=by, reason="Asked for in the admin."))
        return None

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobProfile]:
        return visible_profiles(request.user)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[forms.ModelForm]:
        form = cast("type[ProfileForm]", super().get_form(request, *args, **kwargs))
        form.user = request.user
        return form

    def has_view_permission(self, request: HttpRequest, obj: JobProfile | None = None) -> bool:
        if obj is None:
            return bool(may(request.user, "view_tracker"))
        return bool(may(request.user, "view", obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(may(request.user, "add_jobprofile"))

    def has_change_permission(self, request: HttpRequest, obj: JobProfile | None = None) -> bool:
        if obj is None:
            return bool(may(request.user, "change_jobprofile"))
        return bool(may(request.user, "edit", obj))

    def has_delete_permission(self, request: HttpRequest, obj: JobProfile | None = None) -> bool:
        if obj is None:
            return bool(may(request.user, "delete_jobprofile"))
        return bool(may(request.user, "delete", obj))

    def delete_model(self, request: HttpRequest, obj: JobProfile) -> None:
        control.delete_profile(obj, by=cast("User", request.user))

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, *args)
        except control.Refused as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:jobs_jobprofile_change", args=[object_id]))


@admin.register(JobExecution)
class ExecutionAdmin(ReadOnly):
    list_display = (
        "name",
        "status",
        "type",
        "dry_run",
        "user",
        "warnings_count",
        "queue",
        "created_at",
        "finished_at",
    )
    list_filter = ("status", "type", "created_at")
    list_select_related = ("user", "profile")
    search_fields = ("name",)
    ordering = ("-id",)
    show_full_result_count = False
    paginator = CappedPaginator
    inlines = (Steps, History)
    actions = ("stop", "abort")
    fieldsets = (
        (None, {"fields": ("page", "name", "job", "type", "profile", "user", "trigger", "note")}),
        ("Now", {"fields": ("status", "reason", "error", "warnings_count", "result")}),
        ("Work", {"fields": ("queue", "priority", "attempt", "worker", "node", "pid")}),
        ("Stop", {"fields": ("stop_level", "stop_requested_at", "stop_requested_by")}),
        ("Times", {"fields": ("created_at", "started_at", "finished_at", "deadline_at")}),
        ("Parameters", {"fields": ("parameters",)}),
    )
    readonly_fields = ("page",)

    @admin.display(description="in the tracker")
    def page(self, execution: JobExecution) -> str:
        return format_html('<a href="{}">{}</a>', execution.get_absolute_url(), execution.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobExecution]:
        return visible_to(request.user).order_by("-pk")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: JobExecution | None = None) -> bool:
        if obj is None:
            return bool(may(request.user, "view_tracker"))
        return bool(may(request.user, "view", obj))

    @admin.action(description="Stop")
    def stop(self, request: HttpRequest, executions: QuerySet[JobExecution]) -> None:
        _ask_each(request, executions, control.stop, "%d asked to stop.")

    @admin.action(description="Abort (by force)")
    def abort(self, request: HttpRequest, executions: QuerySet[JobExecution]) -> None:
        _ask_each(request, executions, control.abort, "%d asked to end at once.")


def _tell(request: HttpRequest, profile: JobProfile, results: list[control.Result]) -> None:
    """Say how many were asked to stop, and why each of the others was not."""
    for result in results:
        if not result.asked:
            messages.error(request, f"{result.execution.name}: {result.text}")
    asked = sum(result.asked for result in results)
    messages.success(request, f"{asked} of “{profile}” asked to stop.")


def _ask_each(
    request: HttpRequest,
    executions: QuerySet[JobExecution],
    ask: Callable[..., JobExecution],
    done: str,
) -> None:
    """Ask of each by itself and say why it was refused where it was."""
    asked = 0
    for execution in executions:
        try:
            ask(execution, by=request.user, reason="Asked for in the admin.")
            asked += 1
        except (control.Denied, control.Refused, control.NotAllowed) as error:
            messages.error(request, f"{execution.name}: {error}")
    if asked:
        messages.success(request, done % asked)


@admin.register(Worker)
class WorkerAdmin(ReadOnly):
    list_display = ("name", "kind", "node", "pid", "slots", "started_at", "seen_at")
    list_filter = ("kind",)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(may(request.user, "operate_queues"))


@admin.register(ApiToken)
class TokenAdmin(ReadOnly):
    """Tokens are listed by how they begin. Their hash, which is their key, leaves no trace here."""

    list_display = ("token_key", "name", "user", "scopes", "created", "expiry", "last_used_at")
    list_display_links = None
    list_select_related = ("user",)
    ordering = ("-created",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """One's own; everybody's for those who may change people."""
        tokens = ApiToken.objects.all()
        everybodys = request.user.has_perm("auth.change_user")
        return tokens if everybodys else tokens.filter(user_id=request.user.pk)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is None and bool(may(request.user, "view_tracker"))

    @admin.display(description="")
    def action_checkbox(self, token: ApiToken) -> SafeString:
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            token.token_key,
            f"Select {token}",
        )

    def response_action(
        self, request: HttpRequest, queryset: QuerySet, *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Find the tokens that are selected by how they begin."""
        form = request.POST.copy()
        chosen = queryset.filter(token_key__in=form.getlist(ACTION_CHECKBOX_NAME))
        form.setlist(ACTION_CHECKBOX_NAME, [token.pk for token in chosen])
        request.POST = form  # type: ignore[assignment] # the copy that Django's own code now reads
        return super().response_action(request, queryset, *args, **kwargs)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        revoked, _ = tokens.delete()
        messages.success(request, f"{revoked} revoked.")


@admin.register(OutboxMessage)
class OutboxAdmin(ReadOnly):
    """Mails and webhooks: what is due, what was sent, what was given up and why.

    What a message says is not shown: those who look after queues need not read it.
    """

    list_display = ("dedupe_key", "kind", "receiver", "state", "tries", "due_at", "error")
    list_filter = (
        "kind",
        ("sent_at", admin.EmptyFieldListFilter),
        ("given_up_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("dedupe_key__startswith",)
    ordering = ("-id",)
    show_full_result_count = False
    paginator = CappedPaginator
    actions = ("send_again",)
    fields = (
        "dedupe_key",
        "kind",
        "receiver",
        "execution",
        "state",
        "tries",
        "created_at",
        "due_at",
        "sent_at",
        "given_up_at",
        "error",
    )
    readonly_fields = ("receiver", "state")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(may(request.user, "operate_queues"))

    @admin.display
    def receiver(self, message: OutboxMessage) -> str:
        """Its addresses, or its host: the rest of a URL may be a secret."""
        payload = message.payload
        return urlsplit(payload["url"]).hostname if "url" in payload else ", ".join(payload["to"])

    @admin.display
    def state(self, message: OutboxMessage) -> str:
        if message.sent_at:
            return "sent"
        return "given up" if message.given_up_at else "waiting"

    @admin.action(description="Send again")
    def send_again(self, request: HttpRequest, chosen: QuerySet[OutboxMessage]) -> None:
        due = outbox.send_again(chosen)
        if due:
            messages.success(request, f"{due} will be sent.")
        if kept := chosen.exclude(sent_at=None).count():
            messages.error(request, f"{kept} had been sent already and are not sent again.")
