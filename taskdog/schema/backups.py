"""
The endpoints of ``backups`` in the description.

That app knows nothing of OpenAPI. The words and the shapes of answers are its own: docstrings of
its views, and its serializers. What those can't say is added here, in a class for each view.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)

from backups.api import archive_serializers as shapes
from backups.api import serializers
from backups.api.parsers import UPLOAD_PARSERS, MultiPartUploadParser
from backups.api.query import MAX_RECEIPTS, RECEIPTS
from backups.store import ACCEPTABLE
from taskdog.schema import errors

# Of a site on SQLite, and of one on PostgreSQL.
SNAPSHOTS = ("application/vnd.sqlite3", "application/octet-stream")
UPLOADS = {parser.media_type: OpenApiTypes.BINARY for parser in UPLOAD_PARSERS} | {
    MultiPartUploadParser.media_type: serializers.RestoreUploadSerializer
}
APPLY = OpenApiParameter(
    "apply", enum=["now", "restart"], default="restart", description="When it goes live."
)
ACCEPT = OpenApiParameter(
    "accept",
    {"type": "array", "items": {"type": "string", "enum": list(ACCEPTABLE)}},
    explode=False,
    description="What to accept although it is wrong: defects in rows that SQLite can read, or a "
    "database that has nothing of this project.",
)
COMPACT = OpenApiParameter(
    "compact",
    enum=["1", "0"],
    description="1: rewritten without gaps first; 0: the database's own pages, at once. Without "
    "either, its size decides. A dump of PostgreSQL is always rewritten.",
)
SNAPSHOT_ID = OpenApiParameter(
    "snapshot",
    description="The ETag of a download that broke off; `Range` asks for the rest of it.",
)
FORCE = OpenApiParameter(
    "force", enum=["1", "0"], default="0", description="1: even if it is the last good one."
)
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_RECEIPTS, "default": RECEIPTS},
    description="How many receipts of restores, and how many of downloads.",
)
MEANINGS = {
    **errors.MEANINGS,
    400: "A parameter has an invalid value, or the upload is not a whole snapshot of this site.",
    404: "Nothing is pending; the last restore has no kept copy to undo it with; there is no "
    "stored snapshot, or no job, of that name.",
    409: "It can't be applied without a restart, and stays pending; the stored snapshot is held, "
    "in use, encrypted to another key, or not what was stored.",
    411: "The upload, or another body, does not say its length.",
    412: "The download can't be continued.",
    413: "The upload, or another body, is over the limit.",
    415: "The upload is of another type.",
    500: "The store could not be read or written; the log has the reason.",
    501: "The database is neither SQLite in a file nor PostgreSQL.",
    503: "Too many snapshots or uploads are under way; `Retry-After` says when to ask again. Or "
    "the storage can't be read or written.",
    507: "The disk or the storage is too full, or too little of it would stay free for the site.",
}


EITHER = PolymorphicProxySerializer(
    "StagedOrApplied",
    [serializers.PendingRestoreSerializer, serializers.AppliedRestoreSerializer],
    None,
)
STAGED_OR_APPLIED = OpenApiResponse(EITHER, "It waits for the next start, or is live.")


def _described(name: str, answers: Mapping[Any, Any], *statuses: int, **options: Any) -> Any:
    """Describes one method; ``statuses`` are those of errors besides 401, 403, 429, 500 and 501."""
    refused = {
        status: OpenApiResponse(serializers.BackupErrorSerializer, MEANINGS[status])
        for status in sorted({401, 403, 429, 500, 501, *statuses})
    }
    return extend_schema(operation_id=name, responses={**answers, **refused}, **options)


class StoreViewExtension(OpenApiViewExtension):
    """A view of ``backups``."""

    methods: ClassVar[Mapping[str, Any]]

    def view_replacement(self) -> type:
        """A class made for this, so that the app's own view stays as it is."""
        described = type("Described", (self.target_class,), {})  # type: ignore[arg-type]
        return extend_schema_view(**self.methods)(described)


class BackupExtension(StoreViewExtension):
    """The download."""

    target_class = "backups.api.views.BackupView"
    methods: ClassVar = {
        "get": _described(
            "backup",
            {(status, kind): OpenApiTypes.BINARY for status in (200, 206) for kind in SNAPSHOTS},
            *(400, 412, 503, 507),
            parameters=[COMPACT, SNAPSHOT_ID],
        )
    }


class RestoreExtension(StoreViewExtension):
    """Status, upload and discard."""

    target_class = "backups.api.views.RestoreView"
    methods: ClassVar = {
        "get": _described("restore_status", {200: serializers.RestoreStatusSerializer}),
        "post": _described(
            "restore",
            {200: STAGED_OR_APPLIED},
            *(400, 409, 411, 413, 415, 503, 507),
            request=UPLOADS,
            parameters=[APPLY, ACCEPT],
        ),
        "delete": _described(
            "restore_discard", {200: serializers.DiscardedRestoreSerializer}, 404, 411, 413
        ),
    }


class UndoExtension(StoreViewExtension):
    """The undo."""

    target_class = "backups.api.views.UndoView"
    methods: ClassVar = {
        "post": _described(
            "restore_undo",
            {200: STAGED_OR_APPLIED},
            *(400, 404, 409, 411, 413, 503, 507),
            request=None,
            parameters=[APPLY],
        )
    }


class RestoresExtension(StoreViewExtension):
    """The list of receipts."""

    target_class = "backups.api.views.RestoresView"
    methods: ClassVar = {
        "get": _described(
            "restores", {200: serializers.RestoresSerializer}, 400, parameters=[LIMIT]
        )
    }


class MetricsExtension(StoreViewExtension):
    """The metrics."""

    target_class = "backups.api.metrics.MetricsView"
    methods: ClassVar = {
        "get": _described(
            "metrics",
            {
                (200, "text/plain"): OpenApiTypes.STR,
                (200, "application/openmetrics-text"): OpenApiTypes.STR,
            },
        )
    }


# The archive

RUNNING = OpenApiResponse(
    shapes.JobSerializer, "It takes longer than a request may: `Location` is the URL of its job."
)
STORED = {
    (status, kind): OpenApiTypes.BINARY
    for status in (200, 206)
    for kind in ("application/zstd", "application/octet-stream")
}


class StoredSnapshotsExtension(StoreViewExtension):
    """The list, and a new one."""

    target_class = "backups.api.archive_views.StoredSnapshotsView"
    methods: ClassVar = {
        "get": _described("backups", {200: shapes.StoredSnapshotsSerializer}, 503),
        "post": _described(
            "backups_store",
            {
                200: OpenApiResponse(shapes.NewSnapshotSerializer, "Nothing has changed."),
                201: OpenApiResponse(shapes.NewSnapshotSerializer, "It is stored."),
                202: RUNNING,
            },
            *(400, 409, 411, 413, 415, 503, 507),
            request=shapes.StoreFormSerializer,
        ),
    }


class StoredSnapshotExtension(StoreViewExtension):
    """One of them."""

    target_class = "backups.api.archive_views.StoredSnapshotView"
    methods: ClassVar = {
        "get": _described(
            "backups_show", {200: shapes.StoredSnapshotDetailSerializer}, *(404, 503)
        ),
        "delete": _described(
            "backups_delete",
            {200: shapes.DeletedSnapshotSerializer},
            *(400, 404, 409, 411, 413, 503),
            parameters=[FORCE],
        ),
    }


class StoredDownloadExtension(StoreViewExtension):
    """The download of a stored file."""

    target_class = "backups.api.archive_views.StoredDownloadView"
    methods: ClassVar = {
        "get": _described(
            "backups_download",
            {
                **STORED,
                304: OpenApiResponse(None, "The client has it (`If-None-Match`)."),
                416: OpenApiResponse(None, "It has no such bytes (`Range`)."),
            },
            *(404, 409, 412, 503),
        )
    }


class VerifyExtension(StoreViewExtension):
    """The trial of a stored snapshot."""

    target_class = "backups.api.archive_views.VerifyView"
    methods: ClassVar = {
        "post": _described(
            "backups_verify",
            {200: shapes.VerifiedSnapshotSerializer, 202: RUNNING},
            *(404, 409, 411, 413, 503, 507),
            request=None,
        )
    }


class StoredRestoreExtension(StoreViewExtension):
    """The restore of a stored snapshot."""

    target_class = "backups.api.archive_views.StoredRestoreView"
    methods: ClassVar = {
        "post": _described(
            "backups_restore",
            {200: STAGED_OR_APPLIED, 202: RUNNING},
            *(400, 404, 409, 411, 413, 503, 507),
            request=None,
            parameters=[APPLY, ACCEPT],
        )
    }


class HoldExtension(StoreViewExtension):
    """The hold of a stored snapshot."""

    target_class = "backups.api.archive_views.HoldView"
    methods: ClassVar = {
        "post": _described(
            "backups_hold",
            {200: shapes.StoredSnapshotDetailSerializer},
            *(400, 404, 409, 411, 413, 415, 503),
            request=shapes.HoldFormSerializer,
        ),
        "delete": _described(
            "backups_release",
            {200: shapes.StoredSnapshotDetailSerializer},
            *(404, 409, 411, 413, 503),
        ),
    }


class JobExtension(StoreViewExtension):
    """A job."""

    target_class = "backups.api.archive_views.JobView"
    methods: ClassVar = {"get": _described("backups_job", {200: shapes.JobSerializer}, 404)}
