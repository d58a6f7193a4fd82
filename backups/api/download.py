"""The response that sends a snapshot as a file, compressed if the client asks for it."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.http import StreamingHttpResponse

from backups import services
from backups.api.asynchronous import AsynchronousBody
from backups.api.compression import compress
from backups.api.repr_digest import repr_digest
from backups.api.socket_timeout import PacedBody
from backups.store import Snapshot


class DownloadResponse(StreamingHttpResponse):
    """
    A snapshot as an attachment. Closing the response closes the snapshot.

    ``Snapshot-Size`` is its length in bytes, and so is ``Content-Length`` unless it is compressed.
    ``Snapshot-Method`` is ``compact``, ``pages`` or ``dump``. ``Snapshot-Defects`` is how many old
    defects a short check has found, if there was one.
    """

    def __init__(
        self, snapshot: Snapshot, coding: str | None, *, environ: Mapping[str, Any] | None
    ) -> None:
        """
        Takes over the snapshot.

        :param coding: a content coding of ``compression``, or None.
        :param environ: the WSGI environ of the request; None under ASGI.
        """
        body = snapshot if coding is None else _Compressed(snapshot, coding)
        super().__init__(
            AsynchronousBody(body) if environ is None else PacedBody(body, environ),
            content_type=services.media_type(),
        )
        name = services.snapshot_name(snapshot.taken_at)
        self["Content-Disposition"] = f'attachment; filename="{name}"'
        self["Snapshot-Method"] = snapshot.method
        if snapshot.defects is not None:
            self["Snapshot-Defects"] = str(sum(snapshot.defects.values()))
        self["Snapshot-Size"] = str(snapshot.size)
        self["Cache-Control"] = "no-store"
        self["Vary"] = "Accept-Encoding"
        is_resumable = coding is None and snapshot.id is not None
        self["Accept-Ranges"] = "bytes" if is_resumable else "none"
        if is_resumable:
            self["ETag"] = f'"{snapshot.id}"'
        if coding is None:
            self["Content-Length"] = str(snapshot.size)
        else:
            self["Content-Encoding"] = coding


class PartResponse(DownloadResponse):
    """
    A snapshot that was taken before, or a part of it. Never compressed.

    ``Repr-Digest`` (RFC 9530) is the SHA-256 of the whole snapshot: with it, a client that has
    joined the parts can check them.
    """

    def __init__(
        self, snapshot: Snapshot, *, is_part: bool, environ: Mapping[str, Any] | None
    ) -> None:
        super().__init__(snapshot, None, environ=environ)
        if snapshot.sha256 is not None:
            self["Repr-Digest"] = repr_digest(snapshot.sha256)
        if is_part:
            self._make_part(snapshot)

    def _make_part(self, snapshot: Snapshot) -> None:
        if snapshot.first == snapshot.size:  # the client has all of it
            self.status_code = 416
            self["Content-Range"] = f"bytes */{snapshot.size}"
            self["Content-Length"] = "0"
            return
        self.status_code = 206
        self["Content-Range"] = f"bytes {snapshot.first}-{snapshot.last}/{snapshot.size}"
        self["Content-Length"] = str((snapshot.last or 0) + 1 - snapshot.first)


class _Compressed:
    """Unlike a generator, it closes its snapshot even if it was never read."""

    def __init__(self, snapshot: Snapshot, coding: str) -> None:
        self._snapshot = snapshot
        self._coding = coding

    def __iter__(self) -> Iterator[bytes]:
        return compress(self._snapshot, self._coding)

    def close(self) -> None:
        self._snapshot.close()
