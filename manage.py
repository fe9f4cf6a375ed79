#!/usr/bin/env python3
"""Millrace's commands and all of Django's, on a machine that has nothing but Python.

    python3 manage.py demo      everything, with a sample catalogue imported
    python3 manage.py up        everything, without data
    python3 manage.py services  PostgreSQL and Valkey alone
    python3 manage.py test      the tests (arguments go to pytest)
    python3 manage.py bench     the benchmarks
    python3 manage.py lint      the linters
    python3 manage.py lock      write requirements/ anew from pyproject.toml

The first command builds the environment in `.venv`.
"""

import os
import sys
from importlib import import_module

DEVELOPERS = ("test", "bench", "lint", "lock")
STARTERS = ("demo", "up", "services", *DEVELOPERS)


def main():
    """Run the command of the arguments, in the project's environment."""
    if sys.version_info < (3, 11):
        sys.exit(
            "Millrace needs Python 3.11 or newer; this is Python %s. Run this command with a "
            "newer one, for example: python3.13 manage.py demo" % sys.version.split()[0]
        )
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    environment = import_module("config.local.environment")
    environment.enter("development" if command in DEVELOPERS else "local")
    if command in STARTERS:
        sys.exit(import_module("config.local." + command).main(sys.argv[2:]))
    import_module("config.local.state").use_running_servers(command)
    if sys.argv[1:] in ([], ["help"], ["--help"], ["-h"]):
        print(__doc__, flush=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import_module("django.core.management").execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
