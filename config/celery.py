"""The Celery application: `celery -A config worker`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# All of Django's checks would load every page into the worker, 23 MB, and Celery drops what they
# find. A worker checks what concerns it (jobs/tasks.py); `migrate` and the controller check all.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("millrace")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
