"""API tokens: made with a session or a password, shown once, listed and revoked."""

from __future__ import annotations

import datetime as dt

from django.http import Http404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.authentication import READ, PasswordAuthentication, TokenAuthentication
from jobs.api.base import ApiView, StrictSerializer, caller, checked
from jobs.api.openapi import described
from jobs.models import ApiToken

LONGEST_LIFE = dt.timedelta(days=366)
USUAL_LIFE = dt.timedelta(days=90)


class NewTokenSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100, help_text="What it is for")
    expires_at = serializers.DateTimeField(
        required=False, help_text="At most 366 days from now; the default is 90 days"
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField([READ]),
        required=False,
        help_text="`read`: it changes nothing; empty: whatever you may do",
    )

    def validate_expires_at(self, moment: dt.datetime) -> dt.datetime:
        now = timezone.now()
        if not now < moment <= now + LONGEST_LIFE:
            raise serializers.ValidationError(
                f"It lies in the future, at most {LONGEST_LIFE.days} days from now."
            )
        return moment


class TokenSerializer(serializers.Serializer):
    id = serializers.CharField(source="token_key", help_text="How the token begins")
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class MadeTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="Shown this once; only its hash is kept")


class TokenView(ApiView):
    authentication_classes = (PasswordAuthentication, TokenAuthentication, SessionAuthentication)


class TokensView(TokenView):
    """One's own tokens."""

    @described(
        "tokens_list",
        "List your tokens",
        {200: TokenSerializer(many=True)},
        fails=(429,),
    )
    def get(self, request: Request) -> Response:
        tokens = ApiToken.objects.filter(user=caller(request)).order_by("created")
        return Response(TokenSerializer(tokens, many=True).data)

    @described(
        "tokens_create",
        "Make a token",
        {201: MadeTokenSerializer},
        fails=(422, 429),
        request=NewTokenSerializer,
        description="With a session or with name and password (basic), not with another token.",
    )
    def post(self, request: Request) -> Response:
        if isinstance(request.auth, ApiToken):
            raise PermissionDenied("A token makes no tokens. Use your name and password.")
        body = checked(request.data, NewTokenSerializer)
        ends = body.pop("expires_at", None)
        life = ends - timezone.now() if ends else USUAL_LIFE
        made, token = ApiToken.objects.create(caller(request), expiry=life, **body)
        shown = TokenSerializer(made).data | {"token": token}
        return Response(shown, status=201, headers={"Cache-Control": "no-store"})


class OneTokenView(TokenView):
    """One of one's own tokens."""

    @described("tokens_revoke", "Revoke a token", {204: None}, fails=(404, 429))
    def delete(self, request: Request, token: str) -> Response:
        found, _ = ApiToken.objects.filter(user=caller(request), token_key=token).delete()
        if not found:
            raise Http404(f"You have no token that begins with {token!r}.")
        return Response(status=204)
