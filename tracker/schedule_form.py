"""The form of a schedule: what a person may choose, and what it says of each mistake."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.timezone import get_default_timezone_name

from jobs import control
from jobs.cron import BadCron, Cron
from jobs.models import Schedule
from jobs.permissions import runs_as_others, visible_profiles
from tracker.queries.schedules import NextTime, next_times


def _zones() -> list[tuple[str, str]]:
    names = sorted(name for name in available_timezones() if "/" in name or name == "UTC")
    return [(name, name.replace("_", " ")) for name in names]


class ScheduleForm(forms.ModelForm):
    """A schedule of `user`; an administrator may choose whom it runs as."""

    time_zone = forms.ChoiceField(
        choices=_zones,
        initial=get_default_timezone_name,
        help_text="Daylight saving is taken care of, as the next times show.",
    )
    parameters = forms.JSONField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text='As JSON, over those of the profile: {"name": "value"}.',
    )

    class Meta:
        model = Schedule
        fields = (
            "label", "code", "profile", "cron", "time_zone", "overlap", "missed", "run_as",
            "parameters", "enabled",
        )  # fmt: skip
        labels = {
            "label": "Name",
            "cron": "When",
            "overlap": "If its last execution is still open",
            "missed": "Times missed while no controller ran",
            "run_as": "Runs as",
            "enabled": "Switched on",
        }
        help_texts = {
            "code": "For addresses and scripts; it cannot be changed later.",
            "cron": "Minute, hour, day, month, weekday: “0 2 * * *” is every day at 02:00.",
        }

    def __init__(self, user: User, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.initial["parameters"] = self.instance.parameters or {}
        if self.instance.pk:
            del self.fields["code"]
        profiles: Any = self.fields["profile"]
        profiles.queryset, profiles.empty_label = visible_profiles(user), "Choose one"
        if runs_as_others(user):
            people: Any = self.fields["run_as"]
            people.queryset = User.objects.filter(is_active=True).order_by("username")
            people.empty_label = "The platform"
            self.initial.setdefault("run_as", user.pk)
        else:
            del self.fields["run_as"]
            self.instance.run_as = user

    def clean_parameters(self) -> dict[str, Any]:
        parameters = self.cleaned_data["parameters"] or {}
        if not isinstance(parameters, dict):
            raise forms.ValidationError('Parameters are a JSON object, as {"name": "value"}.')
        return parameters

    def next_times(self) -> list[NextTime]:
        """The next times of what is entered; none while it is no expression."""
        try:
            return next_times(Cron(self["cron"].value() or "", self["time_zone"].value() or ""))
        except BadCron:
            return []

    def keep(self) -> bool:
        """Save it as `user`; false with errors in the form when it does not pass. Raises Denied."""
        if not self.is_valid():
            return False
        try:
            with transaction.atomic():
                control.save_schedule(self.instance, by=self.user)
        except ValidationError as invalid:
            for name, errors in invalid.message_dict.items():
                self.add_error(name if name in self.fields else None, errors)
        except IntegrityError:
            self.add_error("code", f"There is a schedule {self.instance.code!r} already.")
        return not self.errors
