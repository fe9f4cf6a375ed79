"""`manage.py lint [--fix]`: style, import contracts, types and templates."""

import os
import subprocess
import sys
from collections.abc import Sequence

from config.local.environment import FOLDER, ROOT

FIX = [["ruff", "check", "--fix", "."], ["ruff", "format", "."]]
CHECK = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["lint-imports", "--no-cache"],  # its cache keeps modules that were renamed
    ["mypy"],
    ["djlint", "--lint", "--quiet", "templates"],
]


def main(arguments: Sequence[str]) -> int:
    """Run every linter, repairing first what can be with `--fix`; 1 if one found something."""
    for command in FIX if "--fix" in arguments else []:
        _run(command)
    failed = [" ".join(command) for command in CHECK if _run(command) != 0]
    if failed:
        print(f"Found something: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(command: Sequence[str]) -> int:
    print(f"$ {' '.join(command)}", flush=True)
    program, *arguments = command
    # mypy's plugin imports the settings, whose fallbacks for development need no servers.
    variables = os.environ | {"DJANGO_DEBUG": "1"}
    done = subprocess.run(
        [FOLDER / "bin" / program, *arguments], check=False, cwd=ROOT, env=variables
    )
    return done.returncode
