"""`manage.py demo`: the whole site, with people and a catalogue imported before your eyes."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from config.demo import files
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
    if options.data and (lack := files.lack(options.data.resolve())):
        print(lack, file=sys.stderr)
        return 2
    os.environ["MILLRACE_DEMO"] = "1"  # it tells the logins itself, at its end

    def run(state: State) -> int:
        with site.running(state, options) as running:
            data = ["--data", str(options.data.resolve())] if options.data else []
            url = [] if options.exit else ["--url", running.url]
            code = running.run_command("load_demo", str(state.folder), *url, *data)
            if not options.exit:
                print(f"Logs: {state.logs}. Ctrl-C ends it.", flush=True)
                running.stay()
        return code

    return launch.on_a_folder_of_its_own(options.data_dir, run)
