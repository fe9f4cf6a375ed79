"""Credentials: kept, changed, tested and deleted by those who may; and who may choose a place."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from jobs.control.refusals import Refused
from jobs.credentials import NoKey, reach, seal, unseal
from jobs.definition import InvalidParameters, JobClass, JobError
from jobs.models import Credential, JobExecution, JobProfile, Schedule
from jobs.models.base import ClockNow
from jobs.parameters import Given
from jobs.permissions import require
from jobs.places import KINDS, folders, place_fields
from jobs.places.fields import FOLDER
from jobs.states import OPEN

log = logging.getLogger("jobs.audit")

TEST_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of trying to reach a place."""

    ok: bool
    said: str


def save_credential(
    credential: Credential, given: dict[str, Any], *, by: User | None = None
) -> Credential:
    """Check what is given for its kind, options and secrets alike, and save it.

    A secret that is empty or missing stays as it is, but only while nothing changes of whom it is
    shown to. Raises Denied, and ValidationError by field.
    """
    require(by, "manage_credentials")
    kind = KINDS[credential.kind]
    unknown = sorted(set(given) - set(kind.form.base_fields))
    if unknown:
        raise ValidationError({name: f"{kind.label} has no {name!r}." for name in unknown})
    form = kind.form({**credential.options, **given})
    if not form.is_valid():
        raise ValidationError({name: [*said] for name, said in form.errors.items()})
    options = {name: value for name, value in form.cleaned_data.items() if name not in kind.secrets}
    secret = {name: form.cleaned_data[name] for name in kind.secrets if form.cleaned_data[name]}
    try:
        _put_secret(credential, options, secret)
    except NoKey as error:
        raise ValidationError(str(error)) from error
    made = credential._state.adding  # noqa: SLF001 (there is no other word for it)
    credential.options, credential.changed_by, credential.updated_at = options, by, ClockNow()
    credential.full_clean(exclude=("changed_by", "secret", "options", "updated_at", "created_at"))
    credential.save()
    credential.refresh_from_db()
    log.info("%s %s the credential %s.", _who(by), "made" if made else "changed", credential.name)
    return credential


def _put_secret(credential: Credential, options: dict[str, Any], secret: dict[str, str]) -> None:
    kind = KINDS[credential.kind]
    before = credential.options
    moved = sorted(
        name
        for name, value in options.items()
        if name not in kind.moves and before.get(name, "") != value
    )
    if secret:
        kept = {} if moved or set(secret) & set(kind.needs) else unseal(credential)
        seal(credential, kept | secret)
    elif credential.secret and moved:
        fields = ", ".join(moved)
        raise ValidationError(
            dict.fromkeys(
                kind.needs[:1] or kind.secrets[:1],
                f"Enter it again: {fields} changed, and the secret that was kept is not shown to"
                " another place.",
            )
        )
    if kind.needs and not credential.secret:
        raise ValidationError(dict.fromkeys(kind.needs[:1], "Enter the secret."))


def delete_credential(credential: Credential, *, by: User | None = None) -> None:
    """Delete it. Refused while a profile or a schedule names it, or something open uses it."""
    require(by, "manage_credentials")
    with transaction.atomic():
        row = Credential.objects.select_for_update().get(pk=credential.pk)
        named = Q(parameters__contains={"place": row.name})
        users = [f"“{found}”" for found in JobProfile.objects.filter(named)[:5]]
        users += [f"the schedule “{found}”" for found in Schedule.objects.filter(named)[:5]]
        opened = JobExecution.objects.filter(named, status__in=OPEN)[:5]
        users += [f"“{found.name}”, which has not ended" for found in opened]
        if users:
            raise Refused(f"{row.name!r} is used by {', '.join(users)}: name another place first.")
        row.delete()
    log.info("%s deleted the credential %s.", _who(by), credential.name)


def try_connection(credential: Credential, *, by: User | None = None) -> Reached:
    """Reach the place and read from it; what happened, within ten seconds. Raises Denied."""
    require(by, "manage_credentials")
    came: list[Reached] = []
    trying = threading.Thread(target=_try, args=(credential, _who(by), came), daemon=True)
    trying.start()
    trying.join(TEST_SECONDS)
    if not came:
        came.append(Reached(False, f"It did not answer within {TEST_SECONDS} s."))
    log.info("%s tested the credential %s: %s", _who(by), credential.name, came[0].said)
    return came[0]


def _try(credential: Credential, who: str, came: list[Reached]) -> None:
    """In a thread of its own, which may be left behind: nothing else ends every wait in time."""
    try:
        place = reach(credential, why=f"{who} tests the connection")
        try:
            came.append(Reached(True, place.test()))
        finally:
            place.close()
    except JobError as error:
        came.append(Reached(False, str(error)))
    except Exception as error:
        log.exception("Testing a connection raised an error.")
        came.append(Reached(False, f"It failed: {type(error).__name__}. The log has the details."))


def places() -> list[tuple[str, str]]:
    """Every place there is, as value and label."""
    found = [(FOLDER + name, f"Folder {name} of the server") for name in folders()]
    kept = Credential.objects.values_list("name", "kind")
    return found + [(name, f"{name} ({KINDS[kind].label})") for name, kind in kept]


def check_places(
    job: JobClass, given: Given, *, by: User | None, profile: JobProfile | None = None
) -> None:
    """Raise Denied where somebody chooses a place, or a path in it, and may not.

    What the profile says may be used by all who launch it, and a path that it leaves empty is
    theirs to say. Raises InvalidParameters for a place that does not exist or beside a file.
    """
    saved = profile.parameters if profile else {}
    for place, path in place_fields(job.Parameters).items():
        chosen = given.values.get(place) or ""
        if not chosen:
            continue
        is_moved = saved.get(path) and given.values.get(path) != saved[path]
        if chosen != saved.get(place) or is_moved:
            require(by, "choose_place", profile or job)
        if not _exists(chosen):
            raise InvalidParameters({place: [f"There is no place {chosen!r}."]})
        if given.uploads:
            said = f"The file is fetched from {chosen!r}: send none, or leave the place empty."
            raise InvalidParameters({name: [said] for name in given.uploads})


def _exists(name: str) -> bool:
    if name.startswith(FOLDER):
        return name.removeprefix(FOLDER) in folders()
    return Credential.objects.filter(name=name).exists()


def _who(by: User | None) -> str:
    return by.get_username() if by else "The platform"
