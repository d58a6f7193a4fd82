"""The response that is a file: a snapshot with its headers, compressed if that was asked for."""

from collections.abc import Iterator

from django.http import StreamingHttpResponse

from backups import services
from backups.asynchronous import AsynchronousBody
from backups.compression import compress
from backups.store import Snapshot

CONTENT_TYPE = "application/vnd.sqlite3"


class DownloadResponse(StreamingHttpResponse):
    """
    A snapshot as an attachment. Closing the response closes the snapshot.

    Its length is in ``Content-Length``, or, compressed, which has none, in ``Snapshot-Size``
    alone; how it was taken is in ``Snapshot-Method``: ``compact`` or ``pages``.
    """

    def __init__(
        self, snapshot: Snapshot, coding: str | None, *, stall_seconds: float | None = None
    ) -> None:
        """
        Takes over the snapshot.

        :param coding: a content coding of ``compression``, or None.
        :param stall_seconds: for an ASGI server, which asks for the body in its own way: how
            long a client may take nothing. None for a WSGI server.
        """
        body = snapshot if coding is None else _Compressed(snapshot, coding)
        super().__init__(
            body if stall_seconds is None else AsynchronousBody(body, stall_seconds=stall_seconds),
            content_type=CONTENT_TYPE,
        )
        name = services.snapshot_name(snapshot.taken_at)
        self["Content-Disposition"] = f'attachment; filename="{name}"'
        self["Snapshot-Method"] = snapshot.method
        self["Snapshot-Size"] = str(snapshot.size)
        self["Cache-Control"] = "no-store"
        self["Vary"] = "Accept-Encoding"
        if coding is None:
            self["Content-Length"] = str(snapshot.size)
        else:
            self["Content-Encoding"] = coding


class _Compressed:
    """An iterable that closes its snapshot also when nobody has begun to read it."""

    def __init__(self, snapshot: Snapshot, coding: str) -> None:
        self._snapshot = snapshot
        self._coding = coding

    def __iter__(self) -> Iterator[bytes]:
        return compress(self._snapshot, self._coding)

    def close(self) -> None:
        self._snapshot.close()
