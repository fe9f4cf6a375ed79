"""`manage.py demo`: the whole site, with people and a catalogue imported before your eyes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from config.local import launch, site
from config.local.state import State


def main(arguments: Sequence[str]) -> int:
    """Start everything, load the demonstration, and stay until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="manage.py demo", description=__doc__)
    site.add_options(parser)
    parser.add_argument(
        "--data", type=Path, help="folder of Icecat-format files (default: a generated sample)"
    )
    parser.add_argument(
        "--exit",
        action="store_true",
        help="end when the jobs are done, with exit code 0 only if all completed",
    )
    options = parser.parse_args(arguments)

    def run(state: State) -> int:
        with site.running(state, options) as running:
            data = ["--data", str(options.data.resolve())] if options.data else []
            code = running.run_command("load_demo", str(state.folder), "--url", running.url, *data)
            if not options.exit:
                print(f"Logs: {state.logs}. Ctrl-C ends it.", flush=True)
                running.stay()
        return code

    return launch.on_a_folder_of_its_own(options.data_dir, run)
