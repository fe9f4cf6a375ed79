"""`manage.py bench [name] [options]`: the benchmarks, with durable servers of their own."""

import sys
from collections.abc import Sequence

from config.local import throwaway


def main(arguments: Sequence[str]) -> int:
    """Run the package `benchmarks` with the arguments."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return throwaway.run(command, durable=True, variables={})
