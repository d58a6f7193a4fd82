"""Include these where staff look for them: ``path("backups/", include("backups.page.urls"))``."""

from django.urls import path

from backups.page import (
    downloads,
    history,
    overview,
    prepared,
    progress,
    restores,
    snapshots,
    stored_actions,
)

app_name = "backups_page"

urlpatterns = [
    path("", overview.OverviewPage.as_view(), name="overview"),
    path("snapshots/", snapshots.SnapshotsPage.as_view(), name="snapshots"),
    path("snapshots/store/", stored_actions.StoreAction.as_view(), name="store"),
    path("snapshots/now/", downloads.DownloadNow.as_view(), name="download_now"),
    path("snapshots/<str:backup>/", snapshots.SnapshotPage.as_view(), name="snapshot"),
    path("snapshots/<str:backup>/verify/", stored_actions.VerifyAction.as_view(), name="verify"),
    path("snapshots/<str:backup>/hold/", stored_actions.HoldAction.as_view(), name="hold"),
    path("snapshots/<str:backup>/release/", stored_actions.ReleaseAction.as_view(), name="release"),
    path("snapshots/<str:backup>/delete/", stored_actions.DeletePage.as_view(), name="delete"),
    path(
        "snapshots/<str:backup>/restore/", restores.RestoreStored.as_view(), name="restore_stored"
    ),
    path("snapshots/<str:backup>/download/", downloads.DownloadStored.as_view(), name="download"),
    path("jobs/<str:job>/", progress.JobPage.as_view(), name="job"),
    path("restore/", restores.RestorePage.as_view(), name="restore"),
    path("restore/upload/<uuid:job>/", restores.UploadAction.as_view(), name="upload"),
    path("restore/undo/", restores.UndoAction.as_view(), name="undo"),
    path("restore/discard/", restores.DiscardAction.as_view(), name="discard"),
    path("restore/<uuid:job>/", prepared.PreparedPage.as_view(), name="prepared"),
    path("restore/<uuid:job>/decide/", prepared.DecideAction.as_view(), name="decide"),
    path("history/", history.HistoryPage.as_view(), name="history"),
]
