"""The response that is a file: a snapshot with its headers, compressed if that was asked for."""

from collections.abc import Iterator

from django.http import StreamingHttpResponse

from backups import services
from backups.compression import compress
from backups.store import Snapshot

CONTENT_TYPE = "application/vnd.sqlite3"


class DownloadResponse(StreamingHttpResponse):
    """
    A snapshot as an attachment. Closing the response closes the snapshot.

    Its length is in ``Content-Length``, or, compressed, which has none, in ``Snapshot-Size``
    alone; how it was taken is in ``Snapshot-Method``: ``compact`` or ``pages``. How many old
    defects a short look has found is in ``Snapshot-Defects``, if there was one.
    """

    def __init__(self, snapshot: Snapshot, coding: str | None) -> None:
        """Takes over the snapshot. ``coding``: a content coding of ``compression``, or None."""
        body = snapshot if coding is None else _Compressed(snapshot, coding)
        super().__init__(body, content_type=CONTENT_TYPE)
        name = services.snapshot_name(snapshot.taken_at)
        self["Content-Disposition"] = f'attachment; filename="{name}"'
        self["Snapshot-Method"] = snapshot.method
        if snapshot.defects is not None:
            self["Snapshot-Defects"] = str(sum(snapshot.defects.values()))
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
