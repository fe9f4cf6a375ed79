"""Subcommands for the secrets of credentials: a new key, and encrypting with the newest."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import OutputWrapper

from jobs.credentials import rotate


def new_key(_: dict[str, Any], out: OutputWrapper, __: OutputWrapper) -> int:
    """Print a key for JOBS_CREDENTIAL_KEYS, and nothing else."""
    out.write(Fernet.generate_key().decode())
    return 0


def rotate_credentials(_: dict[str, Any], out: OutputWrapper, __: OutputWrapper) -> int:
    """Encrypt every secret with the first key of JOBS_CREDENTIAL_KEYS."""
    changed = rotate()
    out.write(f"{changed} encrypted anew. Keys behind the first are not needed any more.")
    return 0
