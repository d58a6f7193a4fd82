"""The HTTP entrance: declarations, and one call of a service each."""

import logging
from typing import Any

from django.apps import apps
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http.response import HttpResponseBase
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backups import exceptions, services
from backups.api import body_limit, caller, hang_up, query, ranges
from backups.api.asgi_limits import warn_unless_limited
from backups.api.authentication import ApiClient, ApiKeysMixin, caller_name
from backups.api.compression import choose_coding
from backups.api.download import DownloadResponse, PartResponse
from backups.api.negotiation import IgnoreAccept, JSONRenderer
from backups.api.parsers import UPLOAD_PARSERS, Upload
from backups.api.permissions import backup_permissions, restore_permissions
from backups.api.serializers import (
    RestoreUploadSerializer,
    UndoSerializer,
    describe_applied,
    describe_discarded,
    describe_error,
    describe_pending,
    describe_restores,
    describe_status,
)
from backups.api.socket_timeout import check_connected
from backups.api.time_limits import warn_of_time_limit
from backups.conf import conf
from backups.store import PendingRestore, Snapshot

logger = logging.getLogger(__name__)

ACCEPTED_CODINGS = ("gzip", "x-gzip", "zstd")

# A subclass has the status of its nearest ancestor in this table.
STATUS: dict[type[exceptions.BackupError], int] = {
    exceptions.InvalidSnapshotError: 400,
    exceptions.UploadInterruptedError: 400,
    exceptions.BadParameterError: 400,
    exceptions.NotResumableError: 412,
    exceptions.NoPendingRestoreError: 404,
    exceptions.NoKeptCopyError: 404,
    exceptions.RestoreBlockedError: 409,
    exceptions.RestoreRefusedError: 409,
    exceptions.LengthRequiredError: 411,
    exceptions.SnapshotTooLargeError: 413,
    exceptions.BodyTooLargeError: 413,
    exceptions.UnsupportedUploadError: 415,
    exceptions.SnapshotFailedError: 500,
    exceptions.StoreFolderError: 500,
    exceptions.BackupNotSupportedError: 501,
    exceptions.TooManySnapshotsError: 503,
    exceptions.TooManyUploadsError: 503,
    exceptions.NotEnoughSpaceError: 507,
    exceptions.BackupError: 500,
}


class BackupErrorsMixin(ApiKeysMixin):
    """
    Take an API key, and answer this app's errors by the table; all others as the site does.

    No view runs in a transaction of the site (ATOMIC_REQUESTS): it would keep the write lock for
    as long as an upload takes, and what is applied at once would wait for its own request.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """As any view, but outside of transactions, in whichever database."""
        view = super().as_view(**initkwargs)  # type: ignore[misc]
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def perform_authentication(self, request: Request) -> None:
        """
        As any view; and a caller with a key is a program and gets JSON. A site's page may
        look up the user's rows, and a key has none.
        """
        super().perform_authentication(request)
        user: object = request.user
        if isinstance(user, ApiClient):
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type

    def get_renderers(self) -> list[BaseRenderer]:
        """The view's own; but a page needs the templates of Django REST framework."""
        renderers: list[BaseRenderer] = super().get_renderers()  # type: ignore[misc]
        if apps.is_installed("rest_framework"):
            return renderers
        return [each for each in renderers if not isinstance(each, BrowsableAPIRenderer)]

    def takes_upload(self, request: Request) -> bool:
        """Whether the body of this request is read as it arrives. All others have to be short."""
        return False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Checks the body's length and the caller first; then what may take long begins."""
        if not self.takes_upload(request):
            self._limit_body(request)
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        warn_of_time_limit()
        if isinstance(request._request, ASGIRequest):
            warn_unless_limited(request._request.scope)

    def _limit_body(self, request: Request) -> None:
        try:
            body_limit.refuse_large_body(request._request)
        except exceptions.BackupError:
            request.accepted_renderer = JSONRenderer()  # a page would have the body read
            request.accepted_media_type = JSONRenderer.media_type
            raise
        body_limit.keep_files_in_memory(request._request)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """No copy of an answer is kept on the way."""
        response.headers.setdefault("Cache-Control", "no-store")
        return super().finalize_response(  # type: ignore[misc, no-any-return]
            request, response, *args, **kwargs
        )

    def handle_exception(self, exc: Exception) -> Response:
        """A client gets the message, the code and the hint; the log gets what is our fault."""
        if not isinstance(exc, exceptions.BackupError):
            return super().handle_exception(exc)  # type: ignore[misc, no-any-return]
        status = status_of(exc)
        if status >= 500:
            logger.error("%s: %s", exc.code, exc)
        response = Response(describe_error(exc), status=status)
        if isinstance(exc, exceptions.TooManySnapshotsError | exceptions.TooManyUploadsError):
            response["Retry-After"] = str(exc.retry_seconds)
        return response


class BackupView(BackupErrorsMixin, APIView):
    """
    Download a snapshot of the database.

    Its size decides which kind it is, unless the URL does: `?compact=1` rewrites the database
    without gaps first, `?compact=0` sends the database's own pages, at once.

    A compact download that broke off is continued by `Range`, with the ETag of its beginning in
    `If-Range`, in `If-Match` or, without its quotes, in `?snapshot=`.
    """

    http_method_names = ["get", "options"]  # noqa: RUF012  # HEAD would take a snapshot for nothing
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = IgnoreAccept

    def get_permissions(self) -> list[BasePermission]:
        """As BACKUPS_BACKUP_PERMISSION says."""
        return backup_permissions()

    def get(self, request: Request) -> HttpResponseBase:
        """
        The snapshot stands before the response begins: a failure is an error, not a stub.

        If its rest can't be read later, the connection ends before the promised length.
        """
        compact = query.compact(request)
        wanted = ranges.wanted(request.headers, query.snapshot(request))
        environ = None if _is_asynchronous(request) else request.META
        check_connected(request.META)
        taken_by, address = caller_name(request), caller.address(request)
        if (part := _rest(wanted, taken_by, address)) is not None:
            return PartResponse(part, is_part=wanted.is_part, environ=environ)
        coding = choose_coding(request.headers.get("Accept-Encoding", ""))
        snapshot = services.create_snapshot(
            taken_by=taken_by, compact=compact, resumable=coding is None, address=address
        )
        return DownloadResponse(snapshot, coding, environ=environ)


class RestoreView(BackupErrorsMixin, GenericAPIView[Any]):
    """
    Put a snapshot back.

    An upload is checked and staged. The next start of the server puts it in place of the current
    database, which is kept. Until then it can be discarded.

    With `?apply=now` in the URL it is live at once, without a restart, if that can be done; the
    current content is kept. `?accept=defects` accepts rows that break rules of the schema, and
    `?accept=foreign` a database of another project.
    """

    parser_classes = UPLOAD_PARSERS
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    serializer_class = RestoreUploadSerializer

    def get_permissions(self) -> list[BasePermission]:
        """As BACKUPS_RESTORE_PERMISSION says."""
        return restore_permissions()

    def takes_upload(self, request: Request) -> bool:
        """A POST, of which only a form's first fields are read before the caller is known."""
        return request.method == "POST"

    def get(self, request: Request) -> Response:
        """What is pending, and what the last restore did."""
        return Response(_status())

    def post(self, request: Request) -> Response:
        """
        Check the upload and stage it; apply it at once if that is asked for.

        Nothing of the body is read without a turn, which lasts as long as the request: a
        restore that is applied waits for others, and would hold a thread for each of them.
        """
        is_now, accept = query.is_now(request), query.accept(request)
        with services.take_upload_turn() as turn:
            upload = _upload(request)
            pending = services.stage_restore(
                upload,
                staged_by=caller_name(request),
                at_least=upload.at_least,
                account=caller.account(request),
                accept=accept,
                turn=turn,
                watch=hang_up.watch(request._request),
            )
            return _apply_now(request, pending) if is_now else Response(describe_pending(pending))

    def delete(self, request: Request) -> Response:
        """Discard what is pending."""
        discarded = services.discard_pending_restore(discarded_by=caller_name(request))
        return Response(describe_discarded(discarded))


class UndoView(BackupErrorsMixin, GenericAPIView[Any]):
    """
    Undo the last restore.

    What it replaced was kept, and is staged like an upload. The next start of the server puts it
    in place. With `?apply=now` in the URL it is live at once, if that can be done.
    """

    parser_classes = (MultiPartParser, FormParser)  # for the token of the form; nothing else
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    serializer_class = UndoSerializer

    def get_permissions(self) -> list[BasePermission]:
        """As BACKUPS_RESTORE_PERMISSION says."""
        return restore_permissions()

    def post(self, request: Request) -> Response:
        """Stage the kept copy; apply it at once if that is asked for."""
        is_now = query.is_now(request)
        with services.take_upload_turn() as turn:
            pending = services.undo_restore(
                staged_by=caller_name(request), turn=turn, watch=hang_up.watch(request._request)
            )
            return _apply_now(request, pending) if is_now else Response(describe_pending(pending))


class RestoresView(BackupErrorsMixin, APIView):
    """Everything that happened to restores, newest first, the kept copies, and who downloaded."""

    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

    def get_permissions(self) -> list[BasePermission]:
        """As BACKUPS_RESTORE_PERMISSION says."""
        return restore_permissions()

    def get(self, request: Request) -> Response:
        """As many receipts as are asked for of both kinds, and every kept copy."""
        limit = query.limit(request)
        receipts, downloads = services.list_receipts(), services.list_downloads()
        return Response(
            describe_restores(receipts[:limit], services.list_kept_copies(), downloads[:limit])
        )


def status_of(error: exceptions.BackupError) -> int:
    """The HTTP status of an error, by the table."""
    return next(STATUS[ancestor] for ancestor in type(error).__mro__ if ancestor in STATUS)


def _rest(wanted: ranges.Wanted, taken_by: str, address: str | None) -> Snapshot | None:
    """The snapshot that was taken before, if one is asked for; None to take a new one."""
    if wanted.id is None:
        return None
    snapshot = services.resume_snapshot(
        wanted.id, taken_by=taken_by, first=wanted.first, last=wanted.last, address=address
    )
    if snapshot is None and wanted.is_strict:
        raise ranges.cannot_resume("Its snapshot is not kept any more.")
    if snapshot is not None and snapshot.first > snapshot.size:
        snapshot.close()
        raise ranges.cannot_resume(f"It has more than the {snapshot.size:,} bytes of its snapshot.")
    return snapshot


def _is_asynchronous(request: Request) -> bool:
    return isinstance(request._request, ASGIRequest)


def _apply_now(request: Request, pending: PendingRestore) -> Response:
    """Apply what was staged a moment ago. Where only a restart can, tell what is pending."""
    try:
        receipt = services.apply_now(applied_by=caller_name(request), sha256=pending.sha256)
    except (exceptions.RestoreBlockedError, exceptions.NotEnoughSpaceError) as error:
        return Response(_status() | describe_error(error), status=status_of(error))
    caller.renew(request)
    return Response(describe_applied(receipt, pending.warnings))


def _status() -> dict[str, Any]:
    status = services.get_restore_status()
    return describe_status(status, max_upload_bytes=conf.max_upload_bytes)


def _upload(request: Request) -> Upload:
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise exceptions.LengthRequiredError(
            "The upload has no Content-Length, so a cut-off upload could not be noticed."
        )
    _check_coding(request)
    try:
        upload = request.FILES.get("file")
    except UnsupportedMediaType as error:
        raise exceptions.UnsupportedUploadError(
            f"An upload of the type {request.content_type or 'unknown'} is not accepted."
        ) from error
    if not isinstance(upload, Upload):  # without a body there was nothing to parse
        raise exceptions.NotADatabaseError("The upload is empty (0 bytes).")
    return upload


def _check_coding(request: Request) -> None:
    """A body in a coding that its own first bytes show is unpacked as it arrives; no other is."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    is_form = request.content_type.startswith(MultiPartParser.media_type)
    if coding != "identity" and (is_form or coding not in ACCEPTED_CODINGS):
        raise exceptions.UnsupportedUploadError(
            f"An upload with the Content-Encoding {coding} is not accepted.",
            hint="Send the file itself as the body, plain or packed by gzip or zstd.",
        )
