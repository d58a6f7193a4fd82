"""
The client of a remote server, over ``requests``. Knows no Django, so any script can use it:

    from backups.client import BackupClient

    with BackupClient("https://tasks.example.org", api_key) as client:
        client.download(Path("taskdog.db"))

Streams both ways: memory does not grow with the database. Every error is a ``ClientError``,
whose message names the URL. Redirects are not followed, since they would carry the key along.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import requests

from backups.client.download import RemoteSnapshot
from backups.client.exchange import Exchange
from backups.client.server import KEY_HEADER, remote_server
from backups.client.upload import Progress, RequestBody
from backups.disk import atomic_file
from backups.exceptions import ClientError, ServerRefusedError, SnapshotTooLargeError

__all__ = ["BackupClient"]

CONNECT_SECONDS = 10.0
READ_SECONDS = 600.0  # longest silence, while the server copies or checks its whole database
CODINGS = "zstd, gzip"


class BackupClient:
    """Takes and puts back snapshots of one server."""

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
        Nothing is sent yet.

        :param base_url: such as ``https://tasks.example.org``, to which ``/api/v1`` is added; or,
            with a path, where ``backups.urls`` is: ``https://example.org/some/prefix``.
        :param header: what carries the key: ``X-Api-Key``, ``Authorization: Token`` …; of
            ``Authorization: Basic`` the key is ``name:password``.
        :param insecure: send the key even in plain http to another machine, where anybody on the
            way can read it.
        :raises InsecureServerError: it would be sent so, and ``insecure`` is false.
        :raises ClientError: the URL, the header or the key can't be used in a request.
        """
        server = remote_server(base_url)
        self.base_url = server.url
        self._exchange = Exchange(server, (connect_seconds, read_seconds))
        self._exchange.authorize(header, api_key, insecure=insecure)

    def create_snapshot(
        self, *, compact: bool | None = None, compress: bool = False
    ) -> RemoteSnapshot:
        """
        Let the server take a snapshot. Close what is returned.

        :param compact: True for one without gaps, False for the database's own pages; None to
            leave it to the server. ``method`` of the result says which it was.
        :param compress: let it compress what it sends, for a slow line; it arrives as it was.
        :raises ClientError: the server could not be used, or does not say how long its answer is.
        """

        def ask(more: dict[str, str]) -> requests.Response:
            response, _ = self._exchange.request(
                "GET",
                "backup",
                is_read=False,
                params={} if compact is None else {"compact": str(int(compact))},
                headers=({"Accept-Encoding": CODINGS} if compress else {}) | more,
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
        Take a snapshot into a file, which appears only when it is whole.

        ``compact`` and ``compress`` as in ``create_snapshot``.

        :raises DestinationError: it exists and ``overwrite`` is false, or can't be written.
        :raises ClientError: the server could not be used; no file is left then.
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
        Upload an open file; the server checks and stages it. Its restart applies it.

        Asks first whether the server would take it, so that a wrong key or a file over its
        limit is reported before the bytes are sent.

        :param now: let the server apply it at once, without a restart.
        :param accept: what the server is to accept although it is wrong: ``"defects"``,
            ``"foreign"``.
        :param progress: called with the number of bytes of each step.
        :returns: what the server answered: status, size, sha256, migrations …
        :raises ServerRefusedError: it said no, with its reason; nothing was staged. With the
            status 409 or, of ``now``, 507 it is staged, and only can't be applied at once.
        :raises TransferInterruptedError: the connection ended; ask for the status.
        :raises OutcomeUnknownError: a proxy answered in the server's place; ask for the status.
        """
        snapshot.seek(0)
        size = os.fstat(snapshot.fileno()).st_size
        limit = self.get_restore_status().get("max_upload_bytes")
        if isinstance(limit, int) and size > limit:
            raise ServerRefusedError(
                f"{self.base_url} takes snapshots up to {limit:,} bytes; this one has {size:,}.",
                status=413,
                hint=SnapshotTooLargeError.hint,
                code=SnapshotTooLargeError.code,
            )
        return self._stage(
            "restore",
            now=now,
            accept=accept,
            data=RequestBody(snapshot, size, progress),
            headers={"Content-Type": "application/vnd.sqlite3"},
        )

    def undo_restore(self, *, now: bool = False) -> dict[str, Any]:
        """
        Let the server stage what its last restore replaced. Its restart applies it.

        :param now: let the server apply it at once, without a restart.
        :raises ServerRefusedError: it said no, with its reason.
        :raises TransferInterruptedError: the connection ended; ask for the status.
        :raises OutcomeUnknownError: a proxy answered in the server's place; ask for the status.
        """
        return self._stage("restore/undo", now=now)

    def list_restores(self) -> dict[str, Any]:
        """What happened to restores, newest first, as ``restores``; the copies as ``kept``."""
        return self._exchange.json("GET", "restores", _has_lists)

    def get_restore_status(self) -> dict[str, Any]:
        """What is pending on the server, and what its last restore did."""
        return self._exchange.json("GET", "restore", _has_status("pending", "nothing"))

    def discard_pending_restore(self) -> dict[str, Any]:
        """Let the server discard its pending restore."""
        return self._exchange.json("DELETE", "restore", _has_status("discarded"))

    def close(self) -> None:
        """Drop the connections."""
        self._exchange.close()

    def __enter__(self) -> "BackupClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stage(
        self, name: str, *, now: bool, accept: Iterable[str] = (), **arguments: Any
    ) -> dict[str, Any]:
        params = {"apply": "now" if now else None, "accept": ",".join(sorted(accept)) or None}
        is_done = _has_status("pending", "applied")
        answer = self._exchange.json("POST", name, is_done, params=params, **arguments)
        if now and answer.get("status") != "applied":
            raise ClientError(
                f"{self.base_url} is too old to apply a restore without a restart.",
                hint="It is staged, and stays pending: restart that server, or discard it.",
            )
        return answer


def _has_status(*known: str) -> Callable[[dict[str, Any]], bool]:
    return lambda answer: answer.get("status") in known


def _has_lists(answer: dict[str, Any]) -> bool:
    return all(isinstance(answer.get(name), list) for name in ("restores", "kept"))
