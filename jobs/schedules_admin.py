"""Schedules in the admin, checked as everywhere."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from jobs import control
from jobs.cron import in_words
from jobs.models import Schedule
from jobs.permissions import may, visible_schedules


class ScheduleAdminForm(forms.ModelForm):
    """Refuses what could not be launched, and what this person may not have launched."""

    user: Any = None  # set by ScheduleAdmin.get_form

    class Meta:
        model = Schedule
        fields = (
            "code", "label", "profile", "cron", "time_zone", "parameters", "missed", "overlap",
            "run_as", "enabled",
        )  # fmt: skip

    def clean_parameters(self) -> dict[str, Any]:
        parameters = self.cleaned_data["parameters"] or {}
        if not isinstance(parameters, dict):
            raise forms.ValidationError('Parameters are a JSON object, as {"name": "value"}.')
        return parameters

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc] # Django's own hook, which its stubs leave out
        if self.errors:
            return
        decision = may(self.user, "change", self.instance)
        if not decision:
            self.add_error("run_as", decision.reason)
            return
        try:
            control.check_schedule(self.instance)
        except ValidationError as invalid:
            self.add_error(None, invalid)


class ScheduleAdmin(admin.ModelAdmin):
    form = ScheduleAdminForm
    list_display = ("label", "code", "profile", "when", "time_zone", "next_at", "run_as", "enabled")
    list_filter = ("enabled",)
    list_select_related = ("profile", "run_as")
    search_fields = ("label", "code")
    readonly_fields = ("page", "next_at", "created_at", "updated_at")
    actions = None  # one by one, so that each refusal is seen

    @admin.display(description="when")
    def when(self, schedule: Schedule) -> str:
        return in_words(schedule.cron)

    @admin.display(description="its times and what came of them")
    def page(self, schedule: Schedule) -> str:
        if not schedule.pk:
            return "–"
        return format_html('<a href="{}">{}</a>', schedule.get_absolute_url(), schedule.label)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        return visible_schedules(request.user)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[forms.ModelForm]:
        form = cast("type[ScheduleAdminForm]", super().get_form(request, *args, **kwargs))
        form.user = request.user
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"run_as": request.user.pk, **super().get_changeform_initial_data(request)}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        if obj is None:
            return bool(may(request.user, "view_tracker"))
        return bool(may(request.user, "view", obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(may(request.user, "manage_schedules"))

    def has_change_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return self._may(request, "delete", obj)

    def _may(self, request: HttpRequest, action: str, schedule: Schedule | None) -> bool:
        if schedule is None:
            return bool(may(request.user, "manage_schedules"))
        return bool(may(request.user, action, Schedule.objects.get(pk=schedule.pk)))

    def save_model(self, request: HttpRequest, obj: Schedule, *_: Any) -> None:
        control.save_schedule(obj, by=cast("User", request.user))
