from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The site as an application, so that its management commands are found."""

    name = "config"
    verbose_name = "Site"

    def ready(self) -> None:
        # Whoever publishes a message needs the configured Celery application, not the default one.
        from config import celery  # noqa: F401, PLC0415 - Celery reads the settings, so after them
