"""The views: each calls one service."""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backups import services
from backups.api import caller, hang_up, query, ranges, serializers
from backups.api.authentication import caller_name
from backups.api.base import StoreView
from backups.api.compression import choose_coding
from backups.api.download import DownloadResponse, PartResponse
from backups.api.errors import error_response
from backups.api.negotiation import IgnoreAccept, JSONRenderer
from backups.api.parsers import UPLOAD_PARSERS
from backups.api.permissions import backup_permissions, restore_permissions
from backups.api.socket_timeout import check_connected
from backups.api.upload import upload_of
from backups.exceptions import NotEnoughSpaceError, RestoreBlockedError
from backups.store import PendingRestore


class BackupView(StoreView):
    """
    Download a snapshot of the database.

    Its size decides which kind it is, unless the URL does: `?compact=1` rewrites the database
    without gaps first, `?compact=0` sends the database's own pages, at once.

    A compact download that broke off is continued by `Range`, with the ETag of its beginning in
    `If-Range`, in `If-Match` or, without its quotes, in `?snapshot=`.
    """

    get_permissions = staticmethod(backup_permissions)
    http_method_names = ["get", "options"]  # noqa: RUF012  # HEAD would take a snapshot for nothing
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = IgnoreAccept

    def get(self, request: Request) -> HttpResponseBase:
        """
        Download a snapshot of the whole database.

        If it can't be taken, the answer is an error. If the rest can't be read later, the
        connection ends before the announced length.
        """
        compact = query.compact(request)
        wanted = ranges.wanted(request.headers, query.snapshot(request))
        environ = None if isinstance(request._request, ASGIRequest) else request.META
        check_connected(request.META)
        taken_by, address = caller_name(request), caller.address(request)
        if (part := ranges.kept_snapshot(wanted, taken_by, address)) is not None:
            return PartResponse(part, is_part=wanted.is_part, environ=environ)
        coding = choose_coding(request.headers.get("Accept-Encoding", ""))
        snapshot = services.create_snapshot(
            taken_by=taken_by, compact=compact, resumable=coding is None, address=address
        )
        return DownloadResponse(snapshot, coding, environ=environ)


class RestoreView(StoreView, GenericAPIView[Any]):
    """
    Put a snapshot back.

    An upload is checked and staged. The next start of the server puts it in place of the current
    database, which is kept. Until then it can be discarded.

    With `?apply=now` in the URL it is live at once, without a restart, if that can be done; the
    current content is kept. `?accept=defects` accepts rows that break rules of the schema, and
    `?accept=foreign` a database of another project.
    """

    get_permissions = staticmethod(restore_permissions)
    parser_classes = UPLOAD_PARSERS
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    serializer_class = serializers.RestoreUploadSerializer

    def takes_upload(self, request: Request) -> bool:
        """A POST. Until the caller is known, only the first fields of a form are read."""
        return request.method == "POST"

    def get(self, request: Request) -> Response:
        """Show what is pending, and what the last restore did."""
        return Response(restore_status())

    def post(self, request: Request) -> Response:
        """Check a snapshot and stage it; apply it at once if that is asked for."""
        is_now, accept = query.is_now(request), query.accept(request)
        # Read nothing of the body without a turn. Hold it until the end of the request: applying
        # waits for other processes, and would otherwise hold a thread for each such request.
        with services.take_upload_turn() as turn:
            upload = upload_of(request)
            pending = services.stage_restore(
                upload,
                staged_by=caller_name(request),
                at_least=upload.at_least,
                account=caller.account(request),
                accept=accept,
                turn=turn,
                watch=hang_up.watch(request._request),
            )
            return _staged(request, pending, is_now=is_now)

    def delete(self, request: Request) -> Response:
        """Discard what is pending."""
        discarded = services.discard_pending_restore(discarded_by=caller_name(request))
        return Response(serializers.DiscardedRestoreSerializer(discarded).data)


class UndoView(StoreView, GenericAPIView[Any]):
    """
    Undo the last restore.

    What it replaced was kept, and is staged like an upload. The next start of the server puts it
    in place. With `?apply=now` in the URL it is live at once, if that can be done.
    """

    get_permissions = staticmethod(restore_permissions)
    parser_classes = (MultiPartParser, FormParser)  # only for the token of the form
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    serializer_class = serializers.UndoSerializer

    def post(self, request: Request) -> Response:
        """Stage what the last restore replaced; apply it at once if that is asked for."""
        is_now = query.is_now(request)
        with services.take_upload_turn() as turn:
            pending = services.undo_restore(
                staged_by=caller_name(request), turn=turn, watch=hang_up.watch(request._request)
            )
            return _staged(request, pending, is_now=is_now)


class RestoresView(StoreView):
    """Everything that happened to restores, newest first, the kept copies, and who downloaded."""

    get_permissions = staticmethod(restore_permissions)
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

    def get(self, request: Request) -> Response:
        """List all that happened to restores, the kept copies, and who downloaded."""
        limit = query.limit(request)
        found = {
            "restores": services.list_receipts()[:limit],
            "kept": services.list_kept_copies(),
            "downloads": services.list_downloads()[:limit],
        }
        return Response(serializers.RestoresSerializer(found).data)


def _staged(request: Request, pending: PendingRestore, *, is_now: bool) -> Response:
    """Apply it if that is asked for. If only a restart can, the answer shows what is pending."""
    if not is_now:
        return Response(serializers.PendingRestoreSerializer(pending).data)
    try:
        receipt = services.apply_now(applied_by=caller_name(request), sha256=pending.sha256)
    except (RestoreBlockedError, NotEnoughSpaceError) as error:
        response = error_response(error)
        response.data = restore_status() | response.data
        return response
    caller.renew(request)
    warnings = {"warnings": pending.warnings}
    return Response(serializers.AppliedRestoreSerializer(receipt, context=warnings).data)


def restore_status() -> dict[str, Any]:
    """What is pending, and what the last restore did, as JSON."""
    return serializers.RestoreStatusSerializer(services.get_restore_status()).data
