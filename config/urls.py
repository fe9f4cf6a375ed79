"""Addresses of the site."""

from django.contrib import admin
from django.urls import include, path

from config import health, metrics

admin.site.site_header = admin.site.site_title = "Millrace administration"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("jobs.api.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("readyz", health.readyz, name="readyz"),
    path("", include("tracker.urls")),
]

handler400 = "tracker.errors.bad_request"
handler403 = "tracker.errors.forbidden"
handler404 = "tracker.errors.not_found"
handler500 = "tracker.errors.server_error"
