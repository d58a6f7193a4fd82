"""The views of the archive: stored snapshots, and the jobs that work on them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from backups.api import archive_serializers as shapes
from backups.api import caller, conditions, query
from backups.api.authentication import caller_name
from backups.api.base import StoreView
from backups.api.job_answers import job_answer
from backups.api.negotiation import IgnoreAccept, JSONRenderer
from backups.api.permissions import backup_permissions, restore_permissions
from backups.api.socket_timeout import check_connected
from backups.api.stored_download import stored_download, stored_head
from backups.archive import jobs, services
from backups.exceptions import BackupNotSupportedError, BadParameterError, NotStoredError


class ArchiveView(StoreView, GenericAPIView[Any]):
    """What the views of the archive share: JSON, or a page with a form."""

    parser_classes = (JSONParser, MultiPartParser, FormParser)
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    serializer_class: type[Serializer[Any]] = shapes.ButtonSerializer


class StoredSnapshotsView(ArchiveView):
    """
    The stored snapshots.

    A new snapshot is packed, encrypted if the site has recipients, and stored. A separate process
    does that. If it takes longer than a request may (`BACKUPS_JOB_SECONDS`), the answer is 202 with
    the URL of the job.
    """

    get_permissions = staticmethod(backup_permissions)
    serializer_class = shapes.StoreFormSerializer

    def get(self, request: Request) -> Response:
        """List the stored snapshots, the newest first."""
        backups, missing = services.list_all()
        found = {"where": services.where(), "backups": backups, "missing": missing}
        return Response(shapes.StoredSnapshotsSerializer(found).data)

    def post(self, request: Request) -> Response:
        """Store a snapshot of the database, if anything has changed since the last one."""
        label = short_text(request, "label") or None
        return job_answer(request, jobs.start("store", by=caller_name(request), label=label))


class StoredSnapshotView(ArchiveView):
    """A stored snapshot, named by its id, its name, or `latest`."""

    def get_permissions(self) -> list[BasePermission]:
        """To delete a snapshot takes the permission to restore."""
        return restore_permissions() if self.request.method == "DELETE" else backup_permissions()

    def get(self, request: Request, backup: str) -> Response:
        """Show all that is known of a stored snapshot."""
        stored = services.find_snapshot(backup)
        return Response(shapes.StoredSnapshotDetailSerializer(stored).data)

    def delete(self, request: Request, backup: str) -> Response:
        """Delete a stored snapshot, unless it is held, in use, or the last good one."""
        by, force = caller_name(request), query.force(request)
        stored = services.delete(backup, by=by, force=force)
        found = {"status": "deleted", "message": f"{stored.name} is deleted", "backup": stored}
        return Response(shapes.DeletedSnapshotSerializer(found).data)


class StoredDownloadView(StoreView):
    """
    Download a stored snapshot as it is: packed by zstd, and encrypted if it was stored so.

    Its `ETag` is its SHA-256. A download that broke off is continued by `Range`.
    """

    get_permissions = staticmethod(backup_permissions)
    http_method_names = ["get", "head", "options"]  # noqa: RUF012
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = IgnoreAccept

    def get(self, request: Request, backup: str) -> HttpResponseBase:
        """
        Download a stored snapshot.

        If it can't be read, the answer is an error. If the rest can't be read later, the
        connection ends before the announced length.
        """
        stored = services.find_snapshot(backup)
        services.check_length(stored)
        etag = None if stored.manifest is None else stored.manifest.sha256
        headers = {name: value for name, value in request.headers.items() if name != "Range"}
        is_head = request.method == "HEAD"  # a range is for GET only
        part = conditions.part_of(
            headers if is_head else request.headers, size=stored.size, etag=etag
        )
        if is_head or part.status in (304, 416):
            return stored_head(stored, part)
        check_connected(request.META)
        body = services.open_snapshot(
            stored,
            taken_by=caller_name(request),
            address=caller.address(request),
            first=part.first,
            last=part.last,
        )
        environ = None if isinstance(request._request, ASGIRequest) else request.META
        return stored_download(stored, part, body, environ=environ)


class VerifyView(ArchiveView):
    """
    Verify a stored snapshot.

    It is read back from the storage, unpacked, checked as an upload is, brought to the installed
    release in a copy, and its rows are counted.
    """

    get_permissions = staticmethod(backup_permissions)

    def post(self, request: Request, backup: str) -> Response:
        """Verify a stored snapshot. The answer says whether it can be restored; if not, why."""
        return job_answer(request, jobs.start("verify", by=caller_name(request), word=backup))


class StoredRestoreView(ArchiveView):
    """
    Put a stored snapshot back.

    It is checked and staged like an upload. With `?apply=now` in the URL it is live at once,
    without a restart, if that can be done.
    """

    get_permissions = staticmethod(restore_permissions)

    def post(self, request: Request, backup: str) -> Response:
        """Check a stored snapshot and stage it; apply it at once if that is asked for."""
        is_now, accept = query.is_now(request), query.accept(request)
        stored = services.find_snapshot(backup)
        job = jobs.start(
            "restore",
            by=caller_name(request),
            word=stored.id,
            is_now=is_now,
            account=caller.account(request),
            accept=sorted(accept),
        )
        return job_answer(request, job)


class HoldView(ArchiveView):
    """Hold a stored snapshot: nobody can delete it, and no rule removes it."""

    get_permissions = staticmethod(restore_permissions)
    serializer_class = shapes.HoldFormSerializer

    def post(self, request: Request, backup: str) -> Response:
        """Hold a stored snapshot."""
        reason = short_text(request, "reason")
        held = services.hold(backup, by=caller_name(request), reason=reason)
        return Response(shapes.StoredSnapshotDetailSerializer(held).data)

    def delete(self, request: Request, backup: str) -> Response:
        """Release a stored snapshot."""
        released = services.release(backup, by=caller_name(request))
        return Response(shapes.StoredSnapshotDetailSerializer(released).data)


class JobView(StoreView):
    """Long work that a request has begun. The last 50 are known."""

    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

    def get_permissions(self) -> list[BasePermission]:
        """Those that the work itself needs."""
        job = None
        with suppress(BackupNotSupportedError):  # which ``get`` reports, once the caller is known
            job = jobs.find(self.kwargs.get("job", ""))
        is_restore = job is not None and job.work in ("restore", "prepare")
        return restore_permissions() if is_restore else backup_permissions()

    def get(self, request: Request, job: str) -> Response:
        """Show whether the job is running, and what came of it."""
        if (found := jobs.find(job)) is None:
            raise NotStoredError(
                f"There is no job {job!r}.",
                hint="Only the last jobs are known. See what is stored: GET backups.",
            )
        return Response(shapes.JobSerializer(found).data)


def short_text(request: Request, name: str) -> str:
    """
    A text in the body, which may be empty.

    :raises BadParameterError: it is not a text, or is too long for a record.
    """
    data: Any = request.data
    given = (data.get(name) or "") if isinstance(data, Mapping) else None
    if not isinstance(given, str) or not given.isprintable() or len(given) > shapes.MOST_LETTERS:
        raise BadParameterError(
            f"{name} must be a text of at most {shapes.MOST_LETTERS} characters, on one line."
        )
    return given.strip()
