"""Addresses of the pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from tracker.views import dashboard, execution, executions, profiles, requests

app_name = "tracker"

login = LoginView.as_view(template_name="tracker/login.html", redirect_authenticated_user=True)

urlpatterns = [
    path("login/", login, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("", dashboard.dashboard, name="dashboard"),
    path("executions/", executions.executions, name="executions"),
    path("executions/<uuid:pk>/", execution.execution, name="execution"),
    path("executions/<uuid:pk>/log/", execution.log, name="log"),
    path("executions/<uuid:pk>/log.txt", execution.log_file, name="log_file"),
    path("executions/<uuid:pk>/files/<int:file_pk>/", execution.download, name="file"),
    path("executions/<uuid:pk>/stop/", requests.stop, name="stop"),
    path("executions/<uuid:pk>/abort/", requests.abort, name="abort"),
    path("executions/<uuid:pk>/pause/", requests.pause, name="pause"),
    path("executions/<uuid:pk>/resume/", requests.resume, name="resume"),
    path("executions/<uuid:pk>/activate/", requests.activate, name="activate"),
    path("profiles/", profiles.profiles, name="profiles"),
    path("imports/", profiles.profiles, {"kind": "import"}, name="imports"),
    path("exports/", profiles.profiles, {"kind": "export"}, name="exports"),
    path("profiles/<slug:code>/", profiles.profile, name="profile"),
]
