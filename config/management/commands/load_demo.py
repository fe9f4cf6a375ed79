"""Make the demonstration's people and import its catalogue through the platform."""

import argparse
import time
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from catalog.sample import generate
from config.demo import catalogue, people, show
from config.logins import Logins
from jobs.states import Status

PRODUCTS = 1200
DEADLINE_SECONDS = 900


class Command(BaseCommand):
    """Ends with exit code 1 unless every execution completed."""

    help = __doc__ or ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the launcher's data folder, the folder of files, and where the site is."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--data", type=Path, help="folder of Icecat-format files")
        parser.add_argument("--url", help="address of the site, if it stays up")

    def handle(self, **options: Any) -> None:
        """Import, export, then say who may log in where if the site stays up."""
        logins, url = Logins(options["folder"]), options["url"]
        user = people.make_people(logins)
        folder = options["data"] or options["folder"] / "sample"
        if options["data"] is None:
            generate(folder, products=PRODUCTS)
        try:
            for execution in catalogue.launches(folder, user):
                finished = show.follow(execution, time.monotonic() + DEADLINE_SECONDS)
                if not finished or execution.status != Status.COMPLETED:
                    more = f"; see {url}{execution.get_absolute_url()}" if url else "."
                    raise CommandError(f"The demonstration stops here{more}")
        finally:
            if url:
                self.stdout.write(f"\nPages: {url}/    API: {url}/api/v1/docs/")
                self.stdout.write("\n".join(["Logins:", *people.login_lines(logins)]))
