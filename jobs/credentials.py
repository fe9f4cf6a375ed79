"""Secrets of credentials: encrypted at rest with keys of their own, opened where they are used.

JOBS_CREDENTIAL_KEYS holds the keys, the newest first: it encrypts, and the others still decrypt.
Nothing falls back to another secret of the site.
"""

from __future__ import annotations

import hashlib
import json
import logging

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction

from jobs.models import Credential
from jobs.places import Folder, Place, PlaceError, connect
from jobs.places.fields import FOLDER

log = logging.getLogger(__name__)


class NoKey(Exception):
    """Secrets cannot be kept or opened; the sentence says which key is missing."""


def key_id(key: str) -> str:
    """By which a key is known without telling it."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def seal(credential: Credential, secret: dict[str, str]) -> None:
    """Put the secret into the credential, encrypted with the newest key. Raises NoKey."""
    newest = _keys()[0]
    credential.secret = Fernet(newest).encrypt(json.dumps(secret).encode())
    credential.key_id = key_id(newest)


def unseal(credential: Credential) -> dict[str, str]:
    """The secret in plain words. Raises NoKey."""
    if not credential.secret:
        return {}
    try:
        cipher = MultiFernet([Fernet(key) for key in _keys()])
        return json.loads(cipher.decrypt(bytes(credential.secret)))
    except InvalidToken:
        raise NoKey(
            f"The secret of “{credential.name}” was encrypted with the key {credential.key_id},"
            " which JOBS_CREDENTIAL_KEYS does not have: add that key, or enter the secret again."
        ) from None


def rotate() -> int:
    """Encrypt every secret with the newest key; returns how many were not. Raises NoKey."""
    changed = 0
    newest = key_id(_keys()[0])
    with transaction.atomic():
        older = Credential.objects.select_for_update(no_key=True).exclude(key_id__in=("", newest))
        for credential in older:
            seal(credential, unseal(credential))
            credential.save(update_fields=("secret", "key_id"))
            changed += 1
    return changed


def open_place(name: str, *, why: str) -> Place:
    """The place of that name, ready to be used. Raises PlaceError.

    `why` is who uses it and what for; it goes to the log, with the credential's name.
    """
    if name.startswith(FOLDER):
        return Folder(name.removeprefix(FOLDER))
    credential = Credential.objects.filter(name=name).first()
    if credential is None:
        raise PlaceError(f"There is no credential {name!r} any more: name another place.")
    return reach(credential, why=why)


def reach(credential: Credential, *, why: str) -> Place:
    """The place that a credential leads to. Raises PlaceError."""
    log.info("The credential %s is used: %s.", credential.name, why)
    try:
        return connect(credential.kind, credential.options, unseal(credential))
    except NoKey as error:
        raise PlaceError(str(error)) from error


def _keys() -> list[str]:
    keys = settings.JOBS_CREDENTIAL_KEYS
    if not keys:
        raise NoKey(
            "Secrets of credentials cannot be kept: set JOBS_CREDENTIAL_KEYS to a key that"
            " `manage.py jobs credential-key` prints, on every machine alike."
        )
    for place, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise NoKey(
                f"Key {place} of JOBS_CREDENTIAL_KEYS is none: a key has 44 characters, as"
                " `manage.py jobs credential-key` prints it."
            ) from None
    return keys
