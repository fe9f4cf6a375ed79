"""What `up` and `demo` need before they serve: tables, static files, a first user."""

import argparse
import hashlib
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import BaseCommand, CommandError, call_command
from django.db import OperationalError

from config.logins import Logins
from jobs.models import Worker


class Command(BaseCommand):
    """Migrate, collect static files if they changed, and make `admin` if there is no user."""

    help = __doc__ or ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the data folder and whether the database is the launcher's own."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--own-database", action="store_true")

    def handle(self, **options: Any) -> None:
        """Do what is not done yet."""
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except OperationalError as error:
            raise CommandError(f"The database of DATABASE_URL does not serve: {error}") from None
        if options["own_database"]:
            # Nobody works on it yet: what is there was left by a start that was killed.
            Worker.objects.all().delete()
        _collect_static()
        if not get_user_model().objects.exists():
            self._make_admin(Logins(options["folder"]))

    def _make_admin(self, logins: Logins) -> None:
        logins.make("admin", is_staff=True, is_superuser=True)
        if os.environ.get("MILLRACE_DEMO"):
            return
        password = logins.read()["admin"]
        self.stdout.write(f"There was no user, so `admin` was made, with the password {password}")


def _collect_static() -> None:
    marker = settings.STATIC_ROOT / ".collected"
    sources = _fingerprint_of_sources()
    if marker.exists() and marker.read_text() == sources:
        return
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    marker.write_text(sources)


def _fingerprint_of_sources() -> str:
    """Return a hash over name, size and time of every static file."""
    digest = hashlib.sha256(settings.STATIC_STORAGE.encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
