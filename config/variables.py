"""Read settings from environment variables; what is missing or wrong is said in a sentence."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

YES, NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
FOLDER_NAME = re.compile(r"^[A-Za-z0-9_-]{1,100}$")
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


def text(name: str, default: str | None = None) -> str:
    """Return the variable, or the default; without a default an unset variable is an error."""
    value = os.environ.get(name) or default
    if value is None:
        raise ImproperlyConfigured(
            f"The environment variable {name} is not set. Set it, "
            "or let `python3 manage.py up` start everything for you."
        )
    return value


def flag(name: str, default: bool) -> bool:
    """Return the variable as a truth value: 1/0, true/false, yes/no, on/off."""
    value = os.environ.get(name, "").strip().lower()
    if value and value not in YES | NO:
        raise ImproperlyConfigured(f"{name} is {value!r}; write 1 or 0.")
    return value in YES if value else default


def number(name: str, default: float) -> float:
    """Return the variable as a number, whole if the default is whole."""
    value = os.environ.get(name)
    try:
        return type(default)(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} is {value!r}, which is not a number like {default}."
        ) from None


def words(name: str, default: list[str]) -> list[str]:
    """Return the variable as a list, its items separated by commas."""
    value = os.environ.get(name, "")
    return [item.strip() for item in value.split(",") if item.strip()] or default


def words_or_file(name: str) -> list[str]:
    """Return the words of the variable, or the lines of the file that NAME_FILE names."""
    path = os.environ.get(f"{name}_FILE")
    if not path or os.environ.get(name):
        return words(name, [])
    try:
        return [line.strip() for line in Path(path).read_text().splitlines() if line.strip()]
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error}.") from None


def folders(name: str) -> dict[str, Path]:
    """Return the variable's folders by name: `feeds=/srv/feeds,exports=/srv/exports`."""
    found = {}
    for word in words(name, []):
        key, equals, path = word.partition("=")
        if not (equals and FOLDER_NAME.match(key) and Path(path).is_absolute()):
            raise ImproperlyConfigured(
                f"{name} has {word!r}; write name=/path, the name with letters, digits, - and _."
            )
        found[key] = Path(path)
    return found


def mail(url: str) -> dict[str, Any]:
    """Return Django's mail settings for `smtp+tls://user:password@host:587`.

    smtp+tls:// begins TLS after the greeting, smtps:// at once, smtp:// never. `console:` prints
    mails; without a URL none is sent.
    """
    parts = urlsplit(url)
    backend = {"": "dummy", "console": "console"}.get(parts.scheme, "smtp")
    found: dict[str, Any] = {"EMAIL_BACKEND": f"django.core.mail.backends.{backend}.EmailBackend"}
    if backend != "smtp":
        return found
    if parts.scheme not in MAIL_PORTS or not parts.hostname:
        raise ImproperlyConfigured(
            f"EMAIL_URL begins with {parts.scheme!r}; write smtp+tls://user:password@host:587,"
            " smtps://…, smtp://… or console:"
        )
    return found | {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or MAIL_PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }


def database(url: str) -> dict[str, Any]:
    """Return Django's database settings for `postgres://user:password@host:port/name?option=…`.

    A `host` among the options names the folder of a Unix socket.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"DATABASE_URL begins with {parts.scheme!r}; Millrace needs PostgreSQL: "
            "postgres://user:password@host:5432/name"
        )
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }
