"""
The endpoints of ``backups`` in the description.

That app knows nothing of OpenAPI, so its views are described from here: each class below stands
in for one of them while the description is made. Times in its answers are UTC.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)

from backups.api.parsers import UPLOAD_PARSERS, MultiPartUploadParser
from backups.api.query import MAX_RECEIPTS, RECEIPTS
from backups.api.serializers import RestoreUploadSerializer
from backups.store import ACCEPTABLE
from taskdog.schema.backup_answers import (
    AppliedRestoreSerializer,
    BackupErrorSerializer,
    DiscardedRestoreSerializer,
    PendingRestoreSerializer,
    RestoresSerializer,
    RestoreStatusSerializer,
)

Method = TypeVar("Method", bound=Callable[..., Any])


SNAPSHOT = "application/vnd.sqlite3"
UPLOADS = {parser.media_type: OpenApiTypes.BINARY for parser in UPLOAD_PARSERS} | {
    MultiPartUploadParser.media_type: RestoreUploadSerializer
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
    "either, its size decides.",
)
SNAPSHOT_ID = OpenApiParameter(
    "snapshot",
    description="The ETag of a download that broke off; `Range` asks for the rest of it.",
)
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_RECEIPTS, "default": RECEIPTS},
    description="How many receipts of restores, and how many of downloads.",
)
MEANINGS = {
    400: "A parameter has an invalid value, or the upload is not a whole snapshot of this site.",
    401: "There is no API key, a wrong one, or one that has expired.",
    403: "The key lacks the scope, or the user is not of the staff.",
    404: "Nothing is pending; the last restore has no kept copy to undo it with.",
    409: "It can't be applied without a restart, and stays pending.",
    411: "The upload, or another body, does not say its length.",
    412: "The download can't be continued.",
    413: "The upload, or another body, is over the limit.",
    415: "The upload is of another type.",
    429: "Too many wrong keys came from this address; `Retry-After` says how long to wait.",
    500: "The store could not be read or written; the log has the reason.",
    501: "The database has no file.",
    503: "Too many snapshots or uploads are under way; `Retry-After` says when to ask again.",
    507: "The disk is too full, or too little of it would stay free for the site.",
}


def _described(**options: Any) -> Callable[[Method], Method]:
    """Describe one method; ``errors`` are those besides 401, 403, 429, 500 and 501."""
    errors: Iterable[int] = options.pop("errors", ())
    answers = options.pop("answers")
    statuses = sorted({401, 403, 429, 500, 501, *errors})
    refused = {status: _refused(MEANINGS[status]) for status in statuses}
    return extend_schema(responses={**answers, **refused}, **options)


def _refused(meaning: str) -> OpenApiResponse:
    return OpenApiResponse(BackupErrorSerializer, meaning)


def _staged_or_applied() -> OpenApiResponse:
    either = PolymorphicProxySerializer(
        "StagedOrApplied", [PendingRestoreSerializer, AppliedRestoreSerializer], None
    )
    return OpenApiResponse(either, "It waits for the next start, or is live.")


class BackupExtension(OpenApiViewExtension):
    """``backups.api.views.BackupView``."""

    target_class = "backups.api.views.BackupView"

    def view_replacement(self) -> type:
        """Describe the download."""

        class Described(self.target_class):  # type: ignore[name-defined, misc]
            @_described(
                answers={
                    (200, SNAPSHOT): OpenApiTypes.BINARY,
                    (206, SNAPSHOT): OpenApiTypes.BINARY,
                },
                errors=(400, 412, 503, 507),
                parameters=[COMPACT, SNAPSHOT_ID],
                operation_id="backup",
            )
            def get(self, request: Any) -> Any:
                """Download a snapshot of the whole database."""

        return Described


class RestoreExtension(OpenApiViewExtension):
    """``backups.api.views.RestoreView``."""

    target_class = "backups.api.views.RestoreView"

    def view_replacement(self) -> type:
        """Describe upload, status and discard."""

        class Described(self.target_class):  # type: ignore[name-defined, misc]
            @_described(answers={200: RestoreStatusSerializer}, operation_id="restore_status")
            def get(self, request: Any) -> Any:
                """Show what is pending, and what the last restore did."""

            @_described(
                answers={200: _staged_or_applied()},
                errors=(400, 409, 411, 413, 415, 503, 507),
                request=UPLOADS,
                parameters=[APPLY, ACCEPT],
                operation_id="restore",
            )
            def post(self, request: Any) -> Any:
                """Check a snapshot and stage it; apply it at once if that is asked for."""

            @_described(
                answers={200: DiscardedRestoreSerializer},
                errors=(404, 411, 413),
                operation_id="restore_discard",
            )
            def delete(self, request: Any) -> Any:
                """Discard what is pending."""

        return Described


class UndoExtension(OpenApiViewExtension):
    """``backups.api.views.UndoView``."""

    target_class = "backups.api.views.UndoView"

    def view_replacement(self) -> type:
        """Describe the undo."""

        class Described(self.target_class):  # type: ignore[name-defined, misc]
            @_described(
                answers={200: _staged_or_applied()},
                errors=(400, 404, 409, 411, 413, 503, 507),
                request=None,
                parameters=[APPLY],
                operation_id="restore_undo",
            )
            def post(self, request: Any) -> Any:
                """Stage what the last restore replaced."""

        return Described


class RestoresExtension(OpenApiViewExtension):
    """``backups.api.views.RestoresView``."""

    target_class = "backups.api.views.RestoresView"

    def view_replacement(self) -> type:
        """Describe the list of receipts."""

        class Described(self.target_class):  # type: ignore[name-defined, misc]
            @_described(
                answers={200: RestoresSerializer},
                errors=(400,),
                parameters=[LIMIT],
                operation_id="restores",
            )
            def get(self, request: Any) -> Any:
                """List all that happened to restores, the kept copies, and who downloaded."""

        return Described
