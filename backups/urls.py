"""Include these where the site's API lives: ``path("api/v1/", include("backups.urls"))``."""

from django.urls import path

from backups.api import archive_views
from backups.api.metrics import MetricsView
from backups.api.views import BackupView, RestoresView, RestoreView, UndoView

app_name = "backups"

urlpatterns = [
    path("backup", BackupView.as_view(), name="backup"),
    path("restore", RestoreView.as_view(), name="restore"),
    path("restore/undo", UndoView.as_view(), name="undo"),
    path("restores", RestoresView.as_view(), name="restores"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("backups", archive_views.StoredSnapshotsView.as_view(), name="archive"),
    path("backups/jobs/<str:job>", archive_views.JobView.as_view(), name="job"),
    path("backups/<str:backup>", archive_views.StoredSnapshotView.as_view(), name="stored"),
    path(
        "backups/<str:backup>/download",
        archive_views.StoredDownloadView.as_view(),
        name="stored_download",
    ),
    path("backups/<str:backup>/verify", archive_views.VerifyView.as_view(), name="verify"),
    path(
        "backups/<str:backup>/restore",
        archive_views.StoredRestoreView.as_view(),
        name="stored_restore",
    ),
    path("backups/<str:backup>/hold", archive_views.HoldView.as_view(), name="hold"),
]
