"""A client of the API that speaks for a person."""

import json
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from jobs.models import ApiToken


class Api(Client):
    """A client with a token, for JSON; `problem` checks an error's shape and returns it."""

    def __init__(self, user: User | None = None, **headers: str) -> None:
        if user is not None:
            _, token = ApiToken.objects.create(user, name="test")
            headers["authorization"] = f"Bearer {token}"
        super().__init__(headers=headers)

    def _url(self, path: str) -> str:
        return path if path.startswith(("/", "http")) else f"/api/v1/{path}"

    def get(self, path: str, *args: Any, **more: Any) -> Any:
        return super().get(self._url(path), *args, **more)

    def delete(self, path: str, *args: Any, **more: Any) -> Any:
        return super().delete(self._url(path), *args, **more)

    def send(self, path: str, body: Any = None, *, method: str = "post", **headers: str) -> Any:
        data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        call = getattr(super(), method)
        return call(self._url(path), data, content_type="application/json", headers=headers or None)

    def form(self, path: str, data: dict[str, Any], **headers: str) -> Any:
        return super().post(self._url(path), data, headers=headers or None)

    def problem(self, answer: Any, status: int, code: str) -> dict[str, Any]:
        assert answer.status_code == status, answer.content
        assert answer.headers["Content-Type"] == "application/problem+json"
        found = answer.json()
        assert found["type"] == f"urn:millrace:problem:{code}"
        assert found["status"] == status
        assert found["title"]
        assert found["detail"]
        return found
