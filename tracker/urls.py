"""Addresses of the pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from tracker.views import (
    credentials,
    dashboard,
    execution,
    executions,
    mapping,
    notifications,
    profiles,
    requests,
    resources,
    schedules,
    undo,
    workers,
)

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
    path("executions/<uuid:pk>/rejected/<int:row>/", execution.rejected_row, name="rejected_row"),
    path("executions/<uuid:pk>/stop/", requests.stop, name="stop"),
    path("executions/<uuid:pk>/abort/", requests.abort, name="abort"),
    path("executions/<uuid:pk>/pause/", requests.pause, name="pause"),
    path("executions/<uuid:pk>/resume/", requests.resume, name="resume"),
    path("executions/<uuid:pk>/activate/", requests.activate, name="activate"),
    path("executions/<uuid:pk>/continue/", requests.again, {"ask": "continue"}, name="continue"),
    path("executions/<uuid:pk>/for-real/", requests.again, {"ask": "for_real"}, name="for_real"),
    path("executions/<uuid:pk>/undo/", undo.undo, name="undo"),
    path("executions/<uuid:pk>/relaunch/", requests.again, {"ask": "relaunch"}, name="relaunch"),
    path(
        "executions/<uuid:pk>/retry-failed/",
        requests.again,
        {"ask": "retry_failed"},
        name="retry_failed",
    ),
    path("profiles/<slug:code>/stop/", requests.stop_profile, name="stop_profile"),
    path("workers/", workers.workers, name="workers"),
    path("workers/<str:name>/drain/", workers.drain, name="drain"),
    path("workers/<str:name>/resume/", workers.undrain, name="undrain"),
    path("queues/<str:name>/pause/", workers.pause_queue, name="pause_queue"),
    path("queues/<str:name>/resume/", workers.resume_queue, name="resume_queue"),
    path("maintenance/", workers.begin_maintenance, name="begin_maintenance"),
    path("maintenance/end/", workers.end_maintenance, name="end_maintenance"),
    path("profiles/", profiles.profiles, name="profiles"),
    path("imports/", profiles.profiles, {"kind": "import"}, name="imports"),
    path("exports/", profiles.profiles, {"kind": "export"}, name="exports"),
    path("profiles/<slug:code>/", profiles.profile, name="profile"),
    path("profiles/<slug:code>/change/", profiles.change_profile, name="change_profile"),
    path("profiles/<slug:code>/files/<uuid:upload>/", mapping.mapping, name="mapping"),
    path("data/", resources.resources, name="resources"),
    path("data/<str:name>/", resources.rows, name="resource"),
    path("data/<str:name>/export/", resources.export_rows, name="resource_export"),
    path("data/<str:name>/import/", resources.import_rows, name="resource_import"),
    path("credentials/", credentials.credentials, name="credentials"),
    path("new-credential/<slug:kind>/", credentials.new_credential, name="new_credential"),
    path("credentials/<slug:name>/", credentials.credential, name="credential"),
    path("credentials/<slug:name>/test/", credentials.test_credential, name="test_credential"),
    path(
        "credentials/<slug:name>/delete/", credentials.delete_credential, name="delete_credential"
    ),
    path("new-schedule/", schedules.new_schedule, name="new_schedule"),
    path("schedules/", schedules.schedules, name="schedules"),
    path("schedules/<slug:code>/", schedules.schedule, name="schedule"),
    path("schedules/<slug:code>/change/", schedules.change_schedule, name="change_schedule"),
    path("schedules/<slug:code>/switch/", schedules.switch_schedule, name="switch_schedule"),
    path("schedules/<slug:code>/delete/", schedules.delete_schedule, name="delete_schedule"),
    path("notifications/", notifications.notifications, name="notifications"),
    path("notifications/read/", notifications.read_all, name="read_all"),
    path("notifications/<int:pk>/read/", notifications.read, name="read"),
    path("notifications/<int:pk>/acknowledge/", notifications.acknowledge, name="acknowledge"),
]
