"""`manage.py lock [uv arguments]`: write requirements/ anew from pyproject.toml.

Names, versions and hashes, no addresses: each machine installs from the index it is set up for.
`--upgrade` takes newer versions, `--upgrade-package NAME` one.
"""

import subprocess
from collections.abc import Sequence

from config.local.environment import FOLDER, LOCKS, ROOT, uv_variables

COMPILE = ["pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
PLAIN = ["--generate-hashes", "--no-header", "--no-annotate"]


def main(arguments: Sequence[str]) -> int:
    """Lock everything first, then the parts with the same versions."""
    everything = LOCKS / "development.txt"
    _compile("development", ["--group", "dev", "--all-extras", *arguments])
    _compile("local", ["--group", "local", "--constraints", str(everything)])
    _compile("production", ["--constraints", str(everything)])
    return 0


def _compile(lock: str, arguments: Sequence[str]) -> None:
    output = ["--output-file", str(LOCKS / f"{lock}.txt")]
    command = [str(FOLDER / "bin" / "uv"), *COMPILE, *PLAIN, *output, "pyproject.toml", *arguments]
    subprocess.run(command, check=True, cwd=ROOT, env=uv_variables())
