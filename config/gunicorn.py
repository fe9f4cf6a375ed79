"""How gunicorn serves the site, everywhere: `gunicorn config.wsgi -c python:config.gunicorn`."""

import os
from pathlib import Path

bind = os.environ.get("MILLRACE_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("MILLRACE_WEB_THREADS", "8"))
worker_class = "gthread"
preload_app = True  # imported once, shared by the processes; nothing is connected yet
timeout = 60
graceful_timeout = int(os.environ.get("MILLRACE_WEB_GRACE_SECONDS", "20"))
control_socket_disable = True
# Workers touch a file to show that they live; on a disk under load that can take too long.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
