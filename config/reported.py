"""`python -m config.reported worker`: exit 0 if this machine's worker, or controller, is well.

For the health check of a container: a process is well when it has told the database within the
last quarter of a minute that it is there. Without Django, as it is asked again and again.
"""

import os
import socket
import sys

import psycopg

SEEN = """
SELECT FROM jobs_worker WHERE kind = %s AND node = %s
  AND seen_at > clock_timestamp() - interval '15 seconds'
"""


def main() -> int:
    """Look for the report of the kind of process that the argument names."""
    kind, node = sys.argv[1], socket.gethostname()
    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=3) as connection:
        if connection.execute(SEEN, [kind, node]).rowcount:
            return 0
    print(f"No {kind} on {node} has reported itself within 15 seconds.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
