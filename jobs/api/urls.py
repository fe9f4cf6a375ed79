"""Addresses of the API, below /api/v1/."""

from django.urls import path

from jobs.api import (
    again,
    changes,
    contents,
    controls,
    credentials,
    definitions,
    executions,
    files,
    launches,
    logs,
    notifications,
    openapi,
    operations,
    previews,
    profiles,
    resource_files,
    resources,
    running,
    schedules,
    tokens,
)
from jobs.api.base import NothingHereView

app_name = "api"

RESOURCE = "resources/<str:name>/"
EXECUTION = "executions/<uuid:execution_id>/"

urlpatterns = [
    path("openapi.json", openapi.SchemaView.as_view(), name="openapi"),
    path("docs/", openapi.DocsView.as_view(), name="docs"),
    path("tokens/", tokens.TokensView.as_view(), name="tokens"),
    path("tokens/<slug:token>/", tokens.OneTokenView.as_view(), name="token"),
    path("jobs/", definitions.JobsView.as_view(), name="jobs"),
    path("jobs/<str:name>/", definitions.JobView.as_view(), name="job"),
    path("jobs/<str:name>/schema/", definitions.JobSchemaView.as_view(), name="job-schema"),
    path("jobs/<str:name>/source/", definitions.JobSourceView.as_view(), name="job-source"),
    path("jobs/<str:name>/executions/", launches.JobLaunchView.as_view(), name="job-launch"),
    path("profiles/", profiles.ProfilesView.as_view(), name="profiles"),
    path("profiles/<slug:code>/", profiles.ProfileView.as_view(), name="profile"),
    path("profiles/<slug:code>/launch/", profiles.ProfileNeedsView.as_view(), name="profile-needs"),
    path(
        "profiles/<slug:code>/executions/",
        launches.ProfileLaunchView.as_view(),
        name="profile-launch",
    ),
    path("schedules/", schedules.SchedulesView.as_view(), name="schedules"),
    path("schedules/preview/", schedules.PreviewView.as_view(), name="schedules-preview"),
    path("schedules/<slug:code>/", schedules.ScheduleView.as_view(), name="schedule"),
    path(
        "schedules/<slug:code>/firings/", schedules.FiringsView.as_view(), name="schedule-firings"
    ),
    path("notifications/", notifications.NotificationsView.as_view(), name="notifications"),
    path(
        "notifications/<int:number>/read/",
        notifications.ReadView.as_view(),
        name="notification-read",
    ),
    path(
        "notifications/<int:number>/acknowledge/",
        notifications.AcknowledgeView.as_view(),
        name="notification-acknowledge",
    ),
    path("credentials/", credentials.CredentialsView.as_view(), name="credentials"),
    path("credentials/<slug:name>/", credentials.CredentialView.as_view(), name="credential"),
    path(
        "credentials/<slug:name>/test/",
        credentials.CredentialTestView.as_view(),
        name="credential-test",
    ),
    path(
        f"{RESOURCE}template/",
        resource_files.ResourceTemplateView.as_view(),
        name="resource-template",
    ),
    path(f"{RESOURCE}export/", resource_files.ResourceExportView.as_view(), name="resource-export"),
    path("uploads/", files.UploadsView.as_view(), name="uploads"),
    path(
        "uploads/<uuid:upload_id>/preview/",
        previews.UploadPreviewView.as_view(),
        name="upload-preview",
    ),
    path("executions/", executions.ExecutionsView.as_view(), name="executions"),
    path(EXECUTION, executions.ExecutionView.as_view(), name="execution"),
    path(f"{EXECUTION}wait/", executions.WaitView.as_view(), name="execution-wait"),
    path(f"{EXECUTION}steps/", contents.StepsView.as_view(), name="execution-steps"),
    path(f"{EXECUTION}warnings/", contents.WarningsView.as_view(), name="execution-warnings"),
    path(
        f"{EXECUTION}warnings/groups/",
        contents.WarningGroupsView.as_view(),
        name="execution-warning-groups",
    ),
    path(f"{EXECUTION}rows/", changes.RowsView.as_view(), name="execution-rows"),
    path(f"{EXECUTION}undo/", changes.UndoView.as_view(), name="execution-undo"),
    path(f"{EXECUTION}rejected/", files.RejectedView.as_view(), name="execution-rejected"),
    path(f"{EXECUTION}archive/", files.ArchiveView.as_view(), name="execution-archive"),
    path(f"{EXECUTION}files/", files.FilesView.as_view(), name="execution-files"),
    path(f"{EXECUTION}files/<str:file>/", files.FileView.as_view(), name="execution-file"),
    path(f"{EXECUTION}log/", logs.LogView.as_view(), name="execution-log"),
    path(f"{EXECUTION}timeline/", contents.TimelineView.as_view(), name="execution-timeline"),
    path(f"{EXECUTION}children/", contents.ChildrenView.as_view(), name="execution-children"),
    path(f"{EXECUTION}stop/", controls.StopView.as_view(), name="execution-stop"),
    path(f"{EXECUTION}abort/", controls.AbortView.as_view(), name="execution-abort"),
    path(f"{EXECUTION}pause/", controls.PauseView.as_view(), name="execution-pause"),
    path(f"{EXECUTION}resume/", controls.ResumeView.as_view(), name="execution-resume"),
    path(f"{EXECUTION}activate/", controls.ActivateView.as_view(), name="execution-activate"),
    path(f"{EXECUTION}continue/", again.ContinueView.as_view(), name="execution-continue"),
    path(f"{EXECUTION}for-real/", again.ForRealView.as_view(), name="execution-for_real"),
    path(f"{EXECUTION}relaunch/", again.RelaunchView.as_view(), name="execution-relaunch"),
    path(
        f"{EXECUTION}retry-failed/", again.RetryFailedView.as_view(), name="execution-retry_failed"
    ),
    path("resources/", resources.ResourcesView.as_view(), name="resources"),
    path("resources/<str:name>/", resources.ResourceView.as_view(), name="resource"),
    path("resources/<str:name>/rows/", resources.RowsView.as_view(), name="resource-rows"),
    path("running/", running.RunningView.as_view(), name="running"),
    path("running/stop/", running.StopManyView.as_view(), name="running-stop"),
    path("workers/", operations.WorkersView.as_view(), name="workers"),
    path("workers/<str:name>/drain/", operations.DrainView.as_view(), name="worker-drain"),
    path("workers/<str:name>/resume/", operations.UndrainView.as_view(), name="worker-resume"),
    path("queues/", operations.QueuesView.as_view(), name="queues"),
    path("queues/<str:name>/pause/", operations.PauseQueueView.as_view(), name="queue-pause"),
    path("queues/<str:name>/resume/", operations.ResumeQueueView.as_view(), name="queue-resume"),
    path("maintenance/", operations.MaintenanceView.as_view(), name="maintenance"),
    path("<path:rest>", NothingHereView.as_view(), name="nothing"),
]
