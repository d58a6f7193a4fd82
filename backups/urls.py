"""Include these where the site's API lives: ``path("api/v1/", include("backups.urls"))``."""

from django.urls import path

from backups.api.metrics import MetricsView
from backups.api.views import BackupView, RestoresView, RestoreView, UndoView

app_name = "backups"

urlpatterns = [
    path("backup", BackupView.as_view(), name="backup"),
    path("restore", RestoreView.as_view(), name="restore"),
    path("restore/undo", UndoView.as_view(), name="undo"),
    path("restores", RestoresView.as_view(), name="restores"),
    path("metrics", MetricsView.as_view(), name="metrics"),
]
