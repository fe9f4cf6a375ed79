"""Profiles: jobs with saved parameters, and what a launch of them needs."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError as InvalidProfile
from django.db import IntegrityError, transaction
from django.http import Http404
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api import paging
from jobs.api.base import ApiView, caller, checked, refuse_unless_read, tagged
from jobs.api.executions import IF_NONE_MATCH
from jobs.api.openapi import ETAG, LOCATION, PAGING, described, header, paged, query
from jobs.api.parameter_schema import schema_of
from jobs.api.profile_serializers import (
    NeedsSerializer,
    NewProfileSerializer,
    ProfileChangeSerializer,
    ProfileSerializer,
    ProfileSummarySerializer,
    taken,
)
from jobs.definition import REGISTRY
from jobs.models import JobExecution, JobProfile, ProfileGrant
from jobs.permissions import may, require, visible_profiles
from jobs.states import Status

USUAL_OF = 20  # so many of the last completed executions say what is usual


def find_profile(user: User, code: str) -> JobProfile:
    """The profile; Http404 unless `user` may see it."""
    found = visible_profiles(user).filter(code=code).first()
    if found is None:
        raise Http404(f"There is no profile {code!r} that you may see.")
    return found


class ProfilesView(ApiView):
    """The profiles that one may see."""

    query_parameters = (*paging.PARAMETERS, "job")

    @described(
        "profiles_list",
        "List profiles",
        {200: paged(ProfileSummarySerializer)},
        fails=(),
        parameters=[query("job", "Only profiles of this job"), *PAGING],
    )
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        profiles = visible_profiles(caller(request)).prefetch_related("grants")
        if job := request.query_params.get("job"):
            profiles = profiles.filter(job=job)
        context = {"request": request}
        return paging.page(
            request,
            profiles,
            lambda rows: ProfileSummarySerializer(rows, many=True, context=context).data,
        )

    @described(
        "profiles_create",
        "Make a profile",
        {201: ProfileSerializer},
        fails=(422,),
        request=NewProfileSerializer,
        parameters=[LOCATION],
    )
    def post(self, request: Request) -> Response:
        require(caller(request), "add_jobprofile")
        body = checked(request.data, NewProfileSerializer)
        require(caller(request), "add_profile", REGISTRY[body["job"]])
        profile = JobProfile(code=body.pop("code"), job=body.pop("job"))
        _save(profile, body, caller(request))
        headers = {"Location": request.build_absolute_uri(_address(profile))}
        return Response(_represent(request, profile), status=201, headers=headers)


class ProfileView(ApiView):
    """One profile."""

    @described(
        "profiles_get",
        "Show a profile",
        {200: ProfileSerializer, 304: None},
        parameters=[IF_NONE_MATCH, ETAG],
    )
    def get(self, request: Request, code: str) -> Response:
        return tagged(request, _represent(request, find_profile(caller(request), code)))

    @described(
        "profiles_update",
        "Change a profile",
        {200: ProfileSerializer},
        fails=(404, 412, 422, 428),
        request=ProfileChangeSerializer,
        parameters=[header("If-Match", "The ETag of what you have read", required=True), ETAG],
    )
    def patch(self, request: Request, code: str) -> Response:
        require(caller(request), "edit", find_profile(caller(request), code))
        body = checked(request.data, ProfileChangeSerializer, partial=True)
        with transaction.atomic():
            profile = JobProfile.objects.select_for_update(no_key=True).get(code=code)
            refuse_unless_read(request, "profile", _represent(request, profile))
            _save(profile, body, caller(request))
        return tagged(request, _represent(request, profile))

    @described(
        "profiles_delete",
        "Delete a profile; its executions stay",
        {204: None},
        fails=(404, 409),
    )
    def delete(self, request: Request, code: str) -> Response:
        control.delete_profile(find_profile(caller(request), code), by=caller(request))
        return Response(status=204)


class ProfileNeedsView(ApiView):
    """What a launch of this profile needs."""

    @described("profiles_needs", "Show what a launch needs", {200: NeedsSerializer})
    def get(self, request: Request, code: str) -> Response:
        profile = find_profile(caller(request), code)
        decision = may(caller(request), "launch", profile)
        said = decision.reason or ("" if profile.enabled else "The profile is disabled.")
        job = profile.definition
        queue = profile.effective_queue() if job else profile.queue
        needs = {
            "allowed": not said,
            "reason": said,
            "enabled": profile.enabled,
            "parameters": profile.parameters,
            "locked": profile.locked,
            "schema": schema_of(job, saved=profile.parameters) if job else {},
            "queue": queue,
            "queued": JobExecution.objects.filter(status=Status.QUEUED, queue=queue).count(),
            "usual": _usual(profile),
        }
        return Response(NeedsSerializer(needs).data)


def _usual(profile: JobProfile) -> dict[str, Any] | None:
    completed = profile.executions.filter(status=Status.COMPLETED).prefetch_related("steps")
    last = list(completed.order_by("-pk")[:USUAL_OF])
    if not last:
        return None
    return {
        "executions": len(last),
        "running_seconds": _median([_seconds(one.started_at, one.finished_at) for one in last]),
        "waiting_seconds": _median([_seconds(one.created_at, one.started_at) for one in last]),
        "items": int(_median([sum(s.processed for s in one.steps.all()) for one in last])),
    }


def _seconds(begin: dt.datetime | None, end: dt.datetime | None) -> float:
    return (end - begin).total_seconds() if begin and end else 0.0


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _address(profile: JobProfile) -> str:
    return reverse("api:profile", args=[profile.code])


def _represent(request: Request, profile: JobProfile) -> dict[str, Any]:
    return ProfileSerializer(profile, context={"request": request}).data


def _save(profile: JobProfile, body: dict[str, Any], user: User) -> None:
    """Write the given fields and grants, after checking the parameters with the job's form."""
    grants = body.pop("grants", None)
    for name, value in body.items():
        setattr(profile, name, value)
    try:
        control.check_profile(profile, by=user)
        with transaction.atomic():
            profile.save()
            if grants is not None:
                _write_grants(profile, grants)
    except InvalidProfile as error:
        raise serializers.ValidationError(error.message_dict) from error
    except IntegrityError as error:
        raise serializers.ValidationError({"code": [taken(profile.code)]}) from error


def _write_grants(profile: JobProfile, grants: list[dict[str, Any]]) -> None:
    groups = Group.objects.in_bulk([grant["group"] for grant in grants], field_name="name")
    missing = sorted({grant["group"] for grant in grants} - set(groups))
    if missing or len(groups) < len(grants):
        said = f"There is no group {missing[0]!r}." if missing else "A group is named twice."
        raise serializers.ValidationError({"grants": [said]})
    profile.grants.all().delete()
    ProfileGrant.objects.bulk_create(
        ProfileGrant(profile=profile, **grant | {"group": groups[grant["group"]]})
        for grant in grants
    )
