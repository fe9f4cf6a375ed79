"""Who is asking: an API token, a session, or a name and password to get a token with."""

from __future__ import annotations

import datetime as dt
from typing import Any

import knox.auth
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.authentication import BasicScheme
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from jobs.models import ApiToken

READ = "read"
USE_IS_NOTED_EVERY = dt.timedelta(minutes=1)


class TokenAuthentication(knox.auth.TokenAuthentication):
    """`Authorization: Bearer …`; notes when the token was used last, to the minute."""

    def authenticate_credentials(self, token: bytes) -> tuple[Any, ApiToken]:
        if not token.isalnum():  # whatever it is, PostgreSQL need not see it
            raise exceptions.AuthenticationFailed("Invalid token.")
        user, found = super().authenticate_credentials(token)
        now = timezone.now()
        unused = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_IS_NOTED_EVERY)
        if found.last_used_at is None or found.last_used_at < now - USE_IS_NOTED_EVERY:
            ApiToken.objects.filter(unused, pk=found.pk).update(last_used_at=now)
        return user, found


class TokenScheme(KnoxTokenScheme):
    """Tells OpenAPI about it."""

    target_class = "jobs.api.authentication.TokenAuthentication"
    name = "token"


class PasswordAuthentication(authentication.BasicAuthentication):
    """Name and password, only where tokens are made; failed attempts count as failed logins."""

    www_authenticate_realm = "Millrace"

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> tuple[Any, None]:
        _refuse_if_locked(request, userid)
        try:
            return super().authenticate_credentials(userid, password, request)
        except exceptions.AuthenticationFailed:
            _refuse_if_locked(request, userid)
            raise


class PasswordScheme(BasicScheme):
    """Tells OpenAPI about it."""

    target_class = "jobs.api.authentication.PasswordAuthentication"
    name = "password"


def _refuse_if_locked(request: Request | None, username: str) -> None:
    if AxesProxyHandler.is_allowed(request, {"username": username}):
        return
    wait = get_cool_off(request)
    raise exceptions.Throttled(
        wait.total_seconds() if wait else None, "Too many failed logins for this name."
    )


class WithinScope(permissions.BasePermission):
    """A token with the scope `read` changes nothing."""

    message = "This token may only read."

    def has_permission(self, request: Request, _: Any) -> bool:
        scopes = request.auth.scopes if isinstance(request.auth, ApiToken) else []
        return READ not in scopes or request.method in permissions.SAFE_METHODS
