"""
The client of a remote server, over ``requests``. It needs no Django, so any script can use it:

    from backups.client import BackupClient

    with BackupClient("https://tasks.example.org", api_key) as client:
        client.download(Path("taskdog.db"))

It streams both ways: memory does not grow with the database. Every error is a ``ClientError``
whose message names the URL. Redirects are not followed, since the key would go with them.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

try:
    import requests
except ModuleNotFoundError as missing:
    raise ImportError(
        f"backups.client needs {missing.name}, which is not installed. Install it:"
        ' python -m pip install "django-restorable[cli]"'
    ) from missing

from backups.client.archive import ArchiveClient
from backups.client.download import RemoteSnapshot
from backups.client.exchange import Exchange
from backups.client.server import KEY_HEADER, authorize, open_session, remote_server
from backups.client.upload import RequestBody
from backups.disk import atomic_file
from backups.disk.progress import Progress
from backups.exceptions import ClientError, ServerRefusedError, SnapshotTooLargeError

__all__ = ["BackupClient"]

CONNECT_SECONDS = 10.0
READ_SECONDS = 600.0  # the longest silence: the server copies or checks a whole database
CODINGS = "zstd, gzip"


class BackupClient(ArchiveClient):
    """Takes and puts back snapshots of one server, and works with the stored ones."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        header: str = KEY_HEADER,
        insecure: bool = False,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """
        Sends nothing yet.

        :param base_url: such as ``https://tasks.example.org``, to which ``/api/v1`` is added; or,
            with a path, where ``backups.urls`` is: ``https://example.org/some/prefix``.
        :param header: carries the key: ``X-Api-Key``, ``Authorization: Token`` …; for
            ``Authorization: Basic``, the key is ``name:password``.
        :param insecure: allow sending the key in plain http to another machine, although anybody
            on the way can read it.
        :raises InsecureServerError: the key would be sent in plain http without ``insecure``.
        :raises ClientError: the URL, the header or the key can't be used in a request.
        """
        server = remote_server(base_url)
        self.base_url = server.url
        session = open_session(server)
        authorize(session, server, header, api_key, insecure=insecure)
        self._exchange = Exchange(server, session, (connect_seconds, read_seconds))

    def create_snapshot(
        self, *, compact: bool | None = None, compress: bool = False
    ) -> RemoteSnapshot:
        """
        Ask the server for a snapshot. The caller must close it.

        :param compact: True for one without gaps, False for the database's own pages; None to
            leave it to the server. ``method`` of the result says which it was.
        :param compress: let the server compress it for a slow line; it is unpacked on arrival.
        :raises ClientError: the server could not be used, or does not say how long its answer is.
        """

        params = {} if compact is None else {"compact": str(int(compact))}
        headers = {"Accept-Encoding": CODINGS} if compress else {}

        def ask(more: dict[str, str]) -> requests.Response:
            response, _ = self._exchange.request(
                "GET", "backup", is_read=False, params=params, headers=headers | more
            )
            return response

        snapshot = RemoteSnapshot(ask({}), ask_again=ask)
        if snapshot.size is None and not snapshot.is_chunked:
            snapshot.close()
            raise ClientError(f"{snapshot.url} does not say how long its answer is.")
        return snapshot

    def download(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        compact: bool | None = None,
        compress: bool = False,
    ) -> None:
        """
        Save a snapshot as a file, which appears only when it is whole.

        ``compact`` and ``compress`` are as in ``create_snapshot``.

        :raises DestinationError: it exists and ``overwrite`` is false, or can't be written.
        :raises ClientError: the server could not be used; no file is left behind.
        """
        with self.create_snapshot(compact=compact, compress=compress) as snapshot:
            chunks = atomic_file.within_room(snapshot, path.parent, snapshot.size)
            atomic_file.save(chunks, path, overwrite=overwrite)

    def stage_restore(
        self,
        snapshot: BinaryIO,
        *,
        now: bool = False,
        accept: Iterable[str] = (),
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """
        Upload an open file; the server checks and stages it, and applies it when it restarts.

        It first asks the server for its limit, so that a wrong key or a file that is too large is
        reported before the bytes are sent.

        :param now: let the server apply it at once, without a restart.
        :param accept: problems that the server should accept: ``"defects"``, ``"foreign"``.
        :param progress: called with the number of bytes of each step.
        :returns: the server's answer: status, size, sha256, migrations …
        :raises ServerRefusedError: the server refused it and said why; nothing was staged. With
            ``now`` and the status 409 or 507, it is staged but can't be applied at once.

        :raises TransferInterruptedError: the connection ended; ask for the status.
        :raises OutcomeUnknownError: a proxy answered instead of the server; ask for the status.
        """
        snapshot.seek(0)
        size = os.fstat(snapshot.fileno()).st_size
        limit = self.get_restore_status().get("max_upload_bytes")
        if isinstance(limit, int) and size > limit:
            raise ServerRefusedError(
                f"{self.base_url} accepts snapshots up to {limit:,} bytes; this one has {size:,}.",
                status=413,
                hint=SnapshotTooLargeError.hint,
                code=SnapshotTooLargeError.code,
            )
        body = RequestBody(snapshot, size, progress)
        headers = {"Content-Type": "application/octet-stream"}
        return self._stage("restore", now=now, accept=accept, data=body, headers=headers)

    def undo_restore(self, *, now: bool = False) -> dict[str, Any]:
        """
        Let the server stage what its last restore replaced; it applies that when it restarts.

        ``now`` and the errors are as for ``stage_restore``.
        """
        return self._stage("restore/undo", now=now)

    def list_restores(self) -> dict[str, Any]:
        """The receipts of restores, newest first, as ``restores``; the kept copies as ``kept``."""
        return self._exchange.json("GET", "restores", _has_lists)

    def get_restore_status(self) -> dict[str, Any]:
        """What is pending on the server, and what its last restore did."""
        return self._exchange.json("GET", "restore", _has_status("pending", "nothing"))

    def discard_pending_restore(self) -> dict[str, Any]:
        """Let the server discard its pending restore."""
        return self._exchange.json("DELETE", "restore", _has_status("discarded"))

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def __enter__(self) -> "BackupClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stage(
        self, name: str, *, now: bool, accept: Iterable[str] = (), **arguments: Any
    ) -> dict[str, Any]:
        params = {"apply": "now" if now else None, "accept": ",".join(sorted(accept)) or None}
        is_done = _has_status("applied" if now else "pending")
        return self._exchange.json("POST", name, is_done, params=params, **arguments)


def _has_status(*known: str) -> Callable[[dict[str, Any]], bool]:
    return lambda answer: answer.get("status") in known


def _has_lists(answer: dict[str, Any]) -> bool:
    return all(isinstance(answer.get(name), list) for name in ("restores", "kept"))
