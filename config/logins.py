"""Passwords that a development installation made up, kept in its data folder."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User


class Logins:
    """The file `logins.json` of the data folder, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "logins.json"

    def make(self, name: str, **fields: Any) -> User:
        """Make the user with a new password, unless the name is taken already."""
        users = get_user_model().objects
        user = users.filter(username=name).first()
        if user is None:
            password = secrets.token_urlsafe(12)
            self._write(self._made() | {name: password})
            user = users.create_user(name, password=password, **fields)
        return user

    def read(self) -> dict[str, str]:
        """Return the passwords by user name, without those that were changed since."""
        made = self._made()
        users = get_user_model().objects.in_bulk(list(made), field_name="username")
        return {
            name: password
            for name, password in made.items()
            if name in users and users[name].check_password(password)
        }

    def _made(self) -> dict[str, str]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def _write(self, made: dict[str, str]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file, indent=2)
