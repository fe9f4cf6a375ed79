"""Credentials: how places are reached. Their secrets are written and never read."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as InvalidCredential
from django.db import IntegrityError, transaction
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api import paging
from jobs.api.base import ApiView, StrictSerializer, caller, checked, refuse_unless_read, tagged
from jobs.api.executions import IF_NONE_MATCH
from jobs.api.openapi import ETAG, LOCATION, PAGING, described, header, paged
from jobs.models import Credential
from jobs.permissions import require
from jobs.places import KINDS


class CredentialChangeSerializer(StrictSerializer):
    """What can be changed of a credential."""

    options = serializers.DictField(
        required=False, help_text="Where it leads, by the names of its kind; over what is there"
    )
    secret = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False),
        required=False,
        write_only=True,
        help_text="Kept as it is when it is missing, while nothing but the folder changes",
    )


class NewCredentialSerializer(CredentialChangeSerializer):
    name = serializers.SlugField(max_length=100)
    kind = serializers.ChoiceField(Credential.Kind.choices)


class CredentialSerializer(serializers.Serializer):
    """A credential, without its secret."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(Credential.Kind.choices)
    options = serializers.DictField()
    has_secret = serializers.SerializerMethodField()
    key_id = serializers.CharField(help_text="Which of the keys its secret is encrypted with")
    changed_by = serializers.CharField(
        source="changed_by.username", allow_null=True, default=None, help_text="Null: the platform"
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    links = serializers.SerializerMethodField()

    def get_has_secret(self, credential: Credential) -> bool:
        return bool(credential.secret)

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, credential: Credential) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        names = {"self": "api:credential", "test": "api:credential-test"}
        return {
            link: absolute(reverse(name, args=[credential.name])) for link, name in names.items()
        }


class TestedSerializer(serializers.Serializer):
    ok = serializers.BooleanField()
    said = serializers.CharField(help_text="What was tried and what happened")


def find_credential(request: Request, name: str) -> Credential:
    """The credential; raises Denied unless the caller may keep them, and Http404."""
    require(caller(request), "manage_credentials")
    found = Credential.objects.select_related("changed_by").filter(name=name).first()
    if found is None:
        raise Http404(f"There is no credential {name!r}.")
    return found


class CredentialsView(ApiView):
    """The credentials that there are."""

    query_parameters = paging.PARAMETERS

    @described(
        "credentials_list",
        "List credentials",
        {200: paged(CredentialSerializer)},
        fails=(),
        parameters=PAGING,
    )
    def get(self, request: Request) -> Response:
        require(caller(request), "manage_credentials")
        context = {"request": request}
        return paging.page(
            request,
            Credential.objects.select_related("changed_by"),
            lambda rows: CredentialSerializer(rows, many=True, context=context).data,
        )

    @described(
        "credentials_create",
        "Make a credential",
        {201: CredentialSerializer},
        fails=(422,),
        request=NewCredentialSerializer,
        parameters=[LOCATION],
    )
    def post(self, request: Request) -> Response:
        require(caller(request), "manage_credentials")
        body = checked(request.data, NewCredentialSerializer)
        made = Credential(name=body.pop("name"), kind=body.pop("kind"))
        _save(request, made, body)
        address = reverse("api:credential", args=[made.name])
        headers = {"Location": request.build_absolute_uri(address)}
        return Response(_represent(request, made), status=201, headers=headers)


class CredentialView(ApiView):
    """One credential."""

    @described(
        "credentials_get",
        "Show a credential",
        {200: CredentialSerializer, 304: None},
        parameters=[IF_NONE_MATCH, ETAG],
    )
    def get(self, request: Request, name: str) -> Response:
        return tagged(request, _represent(request, find_credential(request, name)))

    @described(
        "credentials_update",
        "Change a credential",
        {200: CredentialSerializer},
        fails=(404, 412, 422, 428),
        request=CredentialChangeSerializer,
        parameters=[header("If-Match", "The ETag of what you have read", required=True), ETAG],
    )
    def patch(self, request: Request, name: str) -> Response:
        require(caller(request), "manage_credentials")
        body = checked(request.data, CredentialChangeSerializer, partial=True)
        with transaction.atomic():
            Credential.objects.select_for_update(no_key=True).filter(name=name).first()
            found = find_credential(request, name)
            refuse_unless_read(request, "credential", _represent(request, found))
            _save(request, found, body)
        return tagged(request, _represent(request, found))

    @described("credentials_delete", "Delete a credential", {204: None}, fails=(404, 409))
    def delete(self, request: Request, name: str) -> Response:
        control.delete_credential(find_credential(request, name), by=caller(request))
        return Response(status=204)


class CredentialTestView(ApiView):
    """Whether the place can be reached."""

    @described("credentials_test", "Test the connection", {200: TestedSerializer}, request=None)
    def post(self, request: Request, name: str) -> Response:
        tried = control.try_connection(find_credential(request, name), by=caller(request))
        return Response(TestedSerializer(tried).data)


def _represent(request: Request, credential: Credential) -> dict[str, Any]:
    return CredentialSerializer(credential, context={"request": request}).data


def _save(request: Request, credential: Credential, body: dict[str, Any]) -> None:
    given = {**body.get("options", {}), **body.get("secret", {})}
    try:
        with transaction.atomic():
            control.save_credential(credential, given, by=caller(request))
    except InvalidCredential as error:
        raise serializers.ValidationError(_by_part(credential, error)) from error
    except IntegrityError as error:
        said = f"There is a credential {credential.name!r} already."
        raise serializers.ValidationError({"name": [said]}) from error


def _by_part(credential: Credential, error: InvalidCredential) -> dict[str, Any]:
    """The errors under the part of the body that they are about."""
    if not hasattr(error, "error_dict"):
        return {"secret": error.messages}
    found: dict[str, Any] = {}
    for name, said in error.message_dict.items():
        if name == "name":
            found[name] = said
        else:
            part = "secret" if name in KINDS[credential.kind].secrets else "options"
            found.setdefault(part, {})[name] = said
    return found
