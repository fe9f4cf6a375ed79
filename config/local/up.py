"""`manage.py up`: the whole site, without sample data, until Ctrl-C."""

import argparse
from collections.abc import Sequence

from config.local import launch, site
from config.local.state import State


def main(arguments: Sequence[str]) -> int:
    """Start what is not given by DATABASE_URL and REDIS_URL, migrate, and serve."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    site.add_options(parser)
    options = parser.parse_args(arguments)

    def run(state: State) -> int:
        with site.running(state, options) as running:
            print(f"Millrace is up at {running.url} (logs in {state.logs}). Ctrl-C ends it.")
            running.stay()
        return 0

    return launch.on_a_folder_of_its_own(options.data_dir, run)
