"""Every error as `application/problem+json` (RFC 9457), with a stable `type` for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from jobs import control
from jobs.definition import UnknownJob
from jobs.states import outcome_of

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
MAINTENANCE_SECONDS = 60  # how long a client is asked to wait before it launches again
NAMESPACE = "urn:millrace:problem:"


@dataclass(slots=True)
class Problem:
    """What is said about one error; `extra` are further members of the document."""

    code: str
    status: int
    detail: str
    title: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        body = {
            "type": NAMESPACE + self.code,
            "title": self.title or self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        return Response(
            body | self.extra, self.status, headers=self.headers, content_type=CONTENT_TYPE
        )


class BadQuery(exceptions.APIException):
    """Query parameters that the address does not have, or with values it cannot use."""

    status_code = HTTPStatus.BAD_REQUEST

    def __init__(self, errors: dict[str, list[str]], valid: list[str] | None = None):
        self.errors, self.valid = errors, valid
        super().__init__(" ".join(said for sentences in errors.values() for said in sentences))


class PreconditionFailed(exceptions.APIException):
    """The thing has changed since the client read it, or the client does not say what it read."""

    def __init__(self, detail: str, status: HTTPStatus = HTTPStatus.PRECONDITION_FAILED):
        self.status_code = status
        super().__init__(detail)


class TooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Refusal(exceptions.APIException):
    """409: right request, wrong moment. `code` ends the problem's type."""

    status_code = HTTPStatus.CONFLICT

    def __init__(self, code: str, detail: str, **extra: Any):
        self.code, self.extra = code, extra
        super().__init__(detail)


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's exception handler for all views of this API."""
    for kind, describe in _DESCRIBED:
        if isinstance(error, kind):
            return describe(error).response()
    # A bug: Django's signal tells error reporters and the test client, the log has the traceback.
    got_request_exception.send(sender=handler, request=context.get("request"))
    log.error("An API view failed.", exc_info=error)
    said = "Something went wrong in the server. It has been logged."
    return Problem("server-error", HTTPStatus.INTERNAL_SERVER_ERROR, said).response()


def _denied(error: control.Denied) -> Problem:
    decision = error.decision
    if not decision.visible:
        return Problem("not-found", HTTPStatus.NOT_FOUND, decision.reason)
    extra = {"needs": decision.needs} if decision.needs else {}
    return Problem("denied", HTTPStatus.FORBIDDEN, decision.reason, extra=extra)


def _not_found(error: Exception) -> Problem:
    said = str(error.args[0]) if error.args and isinstance(error.args[0], str) else ""
    return Problem("not-found", HTTPStatus.NOT_FOUND, said or "There is nothing at this address.")


def _unknown_job(error: UnknownJob) -> Problem:
    return Problem("unknown-job", HTTPStatus.NOT_FOUND, str(error))


def _invalid_parameters(error: control.InvalidParameters) -> Problem:
    errors = [
        _error(["parameters", *([] if name == "__all__" else [name])], "invalid", said)
        for name, sentences in error.errors.items()
        for said in sentences
    ]
    return _invalid(errors)


def _validation(error: exceptions.ValidationError) -> Problem:
    return _invalid(list(_flatten(error.detail, [])))


def _invalid(errors: list[dict[str, str]]) -> Problem:
    said = " ".join(one["detail"] for one in errors)
    return Problem("invalid", HTTPStatus.UNPROCESSABLE_ENTITY, said, errors=errors)


def _flatten(detail: Any, path: list[str]) -> Iterator[dict[str, str]]:
    """The errors of a serializer, nested like its fields, as a flat list with JSON pointers."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flatten(inner, path if name == "non_field_errors" else [*path, str(name)])
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            at = path if isinstance(inner, str) else [*path, str(position)]
            yield from _flatten(inner, at)
    else:
        yield _error(path, getattr(detail, "code", None) or "invalid", str(detail))


def _error(path: list[str], code: str, detail: str) -> dict[str, str]:
    steps = [part.replace("~", "~0").replace("/", "~1") for part in path]
    return {"pointer": "".join(f"/{step}" for step in steps), "code": code, "detail": detail}


def _bad_query(error: BadQuery) -> Problem:
    errors = [
        {"parameter": name, "code": "invalid", "detail": said}
        for name, sentences in error.errors.items()
        for said in sentences
    ]
    extra = {} if error.valid is None else {"valid": error.valid}
    return Problem(
        "bad-query", HTTPStatus.BAD_REQUEST, str(error.detail), errors=errors, extra=extra
    )


def _mismatch(error: control.IdempotencyMismatch) -> Problem:
    return Problem("idempotency-mismatch", HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


def _not_allowed(error: control.NotAllowed) -> Problem:
    extra = {"execution_status": str(error.status), "outcome": outcome_of(error.status, 0)}
    return Problem("not-allowed", HTTPStatus.CONFLICT, str(error), extra=extra)


def _overlapping(error: control.Overlapping) -> Problem:
    extra = {"execution": str(error.execution.pk)} if error.execution else {}
    return Problem("overlapping", HTTPStatus.CONFLICT, str(error), extra=extra)


def _conflict(code: str) -> Callable[[Exception], Problem]:
    return lambda error: Problem(code, HTTPStatus.CONFLICT, str(error))


def _under_maintenance(error: control.UnderMaintenance) -> Problem:
    wait = {"Retry-After": str(MAINTENANCE_SECONDS)}
    return Problem("maintenance", HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=wait)


def _nothing_there(error: control.NothingThere) -> Problem:
    return Problem("not-found", HTTPStatus.NOT_FOUND, str(error))


def _refusal(error: Refusal) -> Problem:
    return Problem(error.code, error.status_code, str(error.detail), extra=error.extra)


def _too_large(error: Exception) -> Problem:
    return Problem("too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))


def _file_refused(error: control.FileRefused) -> Problem:
    return Problem("file-refused", HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


def _no_database(error: Exception) -> Problem:
    log.warning("The database did not answer an API request: %s", error)
    said = "The database does not answer. Try again in a moment."
    wait = {"Retry-After": "5"}
    return Problem("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, said, headers=wait)


def _framework(error: exceptions.APIException) -> Problem:
    headers = {}
    if scheme := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = scheme
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    title = HTTPStatus(error.status_code).phrase
    code = title.lower().replace(" ", "-")
    return Problem(code, error.status_code, str(error.detail), title, headers=headers)


def _forbidden(error: PermissionDenied) -> Problem:
    return Problem("denied", HTTPStatus.FORBIDDEN, str(error) or "You may not do this.")


# The first kind that fits describes the error, so the special come before the general.
_DESCRIBED: tuple[tuple[Any, Callable[[Any], Problem]], ...] = (
    (control.Denied, _denied),
    ((Http404, exceptions.NotFound), _not_found),
    (UnknownJob, _unknown_job),
    (control.InvalidParameters, _invalid_parameters),
    (control.IdempotencyMismatch, _mismatch),
    (control.NotAllowed, _not_allowed),
    (control.UnderMaintenance, _under_maintenance),
    (control.NothingThere, _nothing_there),
    (control.Overlapping, _overlapping),
    (control.FileTooLarge, _too_large),
    (control.FileRefused, _file_refused),
    (control.ProfileDisabled, _conflict("profile-disabled")),
    (control.Refused, _conflict("refused")),
    (Refusal, _refusal),
    (BadQuery, _bad_query),
    (exceptions.ValidationError, _validation),
    ((TooLarge, RequestDataTooBig), _too_large),
    (PermissionDenied, _forbidden),
    (exceptions.APIException, _framework),
    ((OperationalError, InterfaceError), _no_database),
)
