"""The response that sends a stored file, or a part of it, as it is."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from backups.api.asynchronous import AsynchronousBody
from backups.api.conditions import Part
from backups.api.repr_digest import repr_digest
from backups.api.socket_timeout import PacedBody
from backups.archive.services import StoredSnapshot
from backups.store import Snapshot

TYPES = {".zst": "application/zstd"}  # RFC 8878; there is none for age
OTHER = "application/octet-stream"


def stored_head(stored: StoredSnapshot, part: Part) -> HttpResponse:
    """An answer without a body: to HEAD, and where the client has it all, or asks beyond it."""
    response = HttpResponse(status=part.status)
    _describe(response, stored, part)
    return response


def stored_download(
    stored: StoredSnapshot, part: Part, body: Snapshot, *, environ: Mapping[str, Any] | None
) -> StreamingHttpResponse:
    """
    The file as an attachment. Closing the response closes ``body``, which it takes over.

    :param environ: the WSGI environ of the request; None under ASGI.
    """
    response = StreamingHttpResponse(
        AsynchronousBody(body) if environ is None else PacedBody(body, environ),
        status=part.status,
    )
    _describe(response, stored, part)
    return response


def _describe(response: HttpResponseBase, stored: StoredSnapshot, part: Part) -> None:
    sha256 = None if stored.manifest is None else stored.manifest.sha256
    response["Accept-Ranges"] = "none" if sha256 is None else "bytes"
    if sha256 is not None:
        response["ETag"] = f'"{sha256}"'
        response["Repr-Digest"] = repr_digest(sha256)
    if part.status == 304:
        del response["Content-Type"]
        response["Content-Length"] = str(stored.size)  # what a 200 would say
        return
    suffix = stored.name[stored.name.rindex(".") :]
    response["Content-Type"] = TYPES.get(suffix, OTHER)
    response["Content-Length"] = str(part.length)
    if part.status == 416:
        response["Content-Range"] = f"bytes */{stored.size}"
        return
    response["Content-Disposition"] = f'attachment; filename="{stored.name}"'
    if part.status == 206:
        response["Content-Range"] = f"bytes {part.first}-{part.last}/{stored.size}"
