"""`manage.py test [--redis] [pytest arguments]`: pytest, with servers of its own.

Without arguments all tests run, on as many cores as there are, at most four. With `--redis` the
machine's redis-server takes Valkey's place. MILLRACE_DATA names the folder of real data; without
it the tests that need it are skipped.
"""

import os
import sys
from collections.abc import Sequence

from config.local import throwaway
from config.local.servers import Redis, Valkey

# Leases and deadlines in their production order, but short enough to wait for.
FAST = {
    "JOBS_HEARTBEAT_SECONDS": "0.2",
    "JOBS_LEASE_SECONDS": "5",
    "JOBS_SELF_FENCE_SECONDS": "3.5",
    "JOBS_STOP_GRACE_SECONDS": "5",
    "JOBS_KILL_AFTER_SECONDS": "1",
    "JOBS_CONTROLLER_SECONDS": "0.1",
    "JOBS_REDISPATCH_SECONDS": "2",
    "JOBS_IDLE_TRANSACTION_SECONDS": "2",
}
MOST_CORES = 4


def main(arguments: Sequence[str]) -> int:
    """Run pytest with the arguments."""
    everything = ["-n", str(min(MOST_CORES, os.cpu_count() or 1))]
    wanted = [argument for argument in arguments if argument != "--redis"]
    command = [sys.executable, "-m", "pytest", *(wanted or everything)]
    apps = ",".join(filter(None, ["tests.samples", os.environ.get("MILLRACE_APPS")]))
    return throwaway.run(
        command,
        durable=False,
        variables=FAST | {"MILLRACE_APPS": apps},
        broker=Redis if "--redis" in arguments else Valkey,
    )
