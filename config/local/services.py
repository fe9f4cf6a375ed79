"""`manage.py services`: PostgreSQL and Valkey alone, until Ctrl-C."""

import argparse
import os
from collections.abc import Sequence

from config.local import launch
from config.local.servers import missing_servers, start_servers, stop_servers
from config.local.state import State


def main(arguments: Sequence[str]) -> int:
    """Run the servers that DATABASE_URL and REDIS_URL do not name."""
    parser = argparse.ArgumentParser(prog="manage.py services", description=__doc__)
    launch.add_data_folder(parser)
    options = parser.parse_args(arguments)
    return launch.on_a_folder_of_its_own(options.data_dir, run)


def run(state: State) -> int:
    """Start the servers and watch them."""
    servers = missing_servers(state.folder)
    start_servers(servers)
    try:
        variables = launch.site_variables(state)
        state.write(variables)
        print(f"PostgreSQL: {os.environ['DATABASE_URL']}\nValkey:     {os.environ['REDIS_URL']}")
        print("Other commands of manage.py find them. Ctrl-C ends them.", flush=True)
        launch.watch([server.process for server in servers])
    finally:
        stop_servers(servers)
    return 0
