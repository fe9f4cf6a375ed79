from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        # Models can be imported only when all apps are known; the checks register themselves, and
        # so does the platform's own job.
        from jobs import checks, retention, undo  # noqa: F401, PLC0415
        from jobs.setup import make_roles_and_profiles  # noqa: PLC0415

        autodiscover_modules("jobs")  # every app's jobs.py registers its resources and jobs
        post_migrate.connect(make_roles_and_profiles, sender=self, dispatch_uid="jobs.setup")
