"""What the API says about a profile, and what it takes to make or change one."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.api.base import StrictSerializer
from jobs.api.execution_serializers import ActionSerializer
from jobs.definition import REGISTRY, TYPES
from jobs.models import JobProfile
from jobs.models.profile import CODE
from jobs.permissions import may
from jobs.states import Overlap

SMALL_INTEGER = 32_767
LONGEST_SECONDS = 2_147_483_647


class GrantSerializer(StrictSerializer):
    group = serializers.CharField(max_length=150, help_text="Name of the group")
    view = serializers.BooleanField(default=True)
    launch = serializers.BooleanField(default=False)
    edit = serializers.BooleanField(default=False)


class ShownGrantSerializer(serializers.Serializer):
    group = serializers.CharField(source="group.name")
    view = serializers.BooleanField()
    launch = serializers.BooleanField()
    edit = serializers.BooleanField()


class ProfileChangeSerializer(StrictSerializer):
    """What can be changed of a profile."""

    label = serializers.CharField(max_length=200)  # type: ignore[assignment] # shadows Field.label
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    parameters = serializers.DictField(required=False)
    locked = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Parameters that a launch cannot change",
    )
    queue = serializers.RegexField(
        r"^[\w.-]*$", required=False, allow_blank=True, max_length=50, help_text="Empty: the job's"
    )
    priority = serializers.IntegerField(
        required=False, min_value=-SMALL_INTEGER, max_value=SMALL_INTEGER
    )
    concurrency = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=SMALL_INTEGER,
        help_text="How many may run at once; null: any number",
    )
    overlap = serializers.ChoiceField(
        Overlap.choices, required=False, help_text="What a launch does when that many are open"
    )
    start_rate = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=20,
        help_text="At most how many starts in a time, such as `10/m` or `1/10s`",
    )
    node = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="The only node it may run on"
    )
    node_roles = serializers.ListField(
        child=serializers.CharField(max_length=50),
        required=False,
        help_text="It runs only on nodes that have all of these roles",
    )
    timeout_seconds = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=LONGEST_SECONDS
    )
    stop_grace_seconds = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=LONGEST_SECONDS
    )
    enabled = serializers.BooleanField(required=False)
    sensitive = serializers.BooleanField(
        required=False, help_text="Log, warnings and files only for owners and granted groups"
    )
    grants = GrantSerializer(many=True, required=False, help_text="Empty: open to every role")


class NewProfileSerializer(ProfileChangeSerializer):
    code = serializers.CharField(max_length=100, validators=[CODE])
    job = serializers.CharField(max_length=100)

    def validate_code(self, code: str) -> str:
        if JobProfile.objects.filter(code=code).exists():
            raise serializers.ValidationError(taken(code), code="unique")
        return code

    def validate_job(self, name: str) -> str:
        if name not in REGISTRY:
            there = ", ".join(sorted(REGISTRY))
            raise serializers.ValidationError(f"There is no job {name!r}; there are: {there}.")
        return name


class ProfileSummarySerializer(serializers.Serializer):
    """One row of a list."""

    code = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    type = serializers.ChoiceField(TYPES)
    job = serializers.CharField()
    enabled = serializers.BooleanField()
    version = serializers.IntegerField()
    actions = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    ACTIONS: tuple[str, ...] = ("launch",)

    @extend_schema_field(
        {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Action"}}
    )
    def get_actions(self, profile: JobProfile) -> dict[str, Any]:
        user = self.context["request"].user
        answers = {action: may(user, action, profile) for action in self.ACTIONS}
        return {
            action: ActionSerializer({"allowed": bool(found), "reason": found.reason}).data
            for action, found in answers.items()
        }

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, profile: JobProfile) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        routes = {"self": "profile", "launch": "profile-launch", "needs": "profile-needs"}
        links = {
            word: absolute(reverse(f"api:{route}", args=[profile.code]))
            for word, route in routes.items()
        }
        executions = f"{reverse('api:executions')}?profile={profile.code}"
        page = absolute(profile.get_absolute_url())
        return links | {"executions": absolute(executions), "page": page}


class ProfileSerializer(ProfileSummarySerializer):
    """Everything about one profile."""

    description = serializers.CharField()
    parameters = serializers.DictField()
    locked = serializers.ListField(child=serializers.CharField())
    queue = serializers.CharField()
    priority = serializers.IntegerField()
    concurrency = serializers.IntegerField(allow_null=True)
    overlap = serializers.ChoiceField(Overlap.choices)
    start_rate = serializers.CharField()
    node = serializers.CharField()
    node_roles = serializers.ListField(child=serializers.CharField())
    timeout_seconds = serializers.IntegerField(allow_null=True)
    stop_grace_seconds = serializers.IntegerField(allow_null=True)
    sensitive = serializers.BooleanField()
    grants = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    ACTIONS = ("launch", "edit", "delete")

    @extend_schema_field(ShownGrantSerializer(many=True))
    def get_grants(self, profile: JobProfile) -> Any:
        grants = profile.grants.select_related("group").order_by("group__name")
        return ShownGrantSerializer(grants, many=True).data


class UsualSerializer(serializers.Serializer):
    """The medians of its last completed executions."""

    executions = serializers.IntegerField(help_text="How many say so")
    running_seconds = serializers.FloatField()
    waiting_seconds = serializers.FloatField()
    items = serializers.IntegerField()


class NeedsSerializer(serializers.Serializer):
    """What a launch needs, and whether this person may make it."""

    allowed = serializers.BooleanField()
    reason = serializers.CharField()
    enabled = serializers.BooleanField()
    parameters = serializers.DictField(help_text="The saved ones")
    locked = serializers.ListField(child=serializers.CharField())
    schema = serializers.DictField(help_text="JSON Schema 2020-12 of `parameters`")
    queue = serializers.CharField()
    queued = serializers.IntegerField(help_text="Executions that wait in the queue now")
    usual = UsualSerializer(allow_null=True)


def taken(code: str) -> str:
    """What is said when two profiles want one code."""
    return f"There is a profile {code!r} already."
