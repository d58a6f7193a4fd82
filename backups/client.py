"""
The client of a remote server, over ``requests``. Knows no Django, so any script can use it:

    from backups.client import BackupClient

    with BackupClient("https://tasks.example.org", api_key) as client:
        client.download(Path("taskdog.db"))

Streams both ways: memory does not grow with the database. Every error is a ``ClientError``,
whose message names the URL. Redirects are not followed, since they would carry the key along.
"""

import os
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests

from backups import destination
from backups.exceptions import (
    ClientError,
    ServerRefusedError,
    ServerUnreachableError,
    TransferInterruptedError,
)
from backups.remote_snapshot import RemoteSnapshot
from backups.request_body import Progress, RequestBody

__all__ = ["BackupClient"]

CONNECT_SECONDS = 10.0
READ_SECONDS = 600.0  # longest silence, while the server copies or checks its whole database
KEY_HEADER = "X-Api-Key"
# What requests can decode here: without a zstd library it has gzip only.
CODINGS = "zstd, gzip" if "zstd" in requests.utils.DEFAULT_ACCEPT_ENCODING else "gzip"


class BackupClient:
    """Takes and puts back snapshots of one server."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """
        Nothing is sent yet.

        :param base_url: such as ``https://tasks.example.org``; ``/api/v1`` is added.
        :raises ClientError: the URL or the key can't be used in a request.
        """
        if not _is_server(base_url):
            raise ClientError(
                f"{base_url!r} is not the URL of a server.",
                hint="Give one such as https://tasks.example.org.",
            )
        if not api_key.isascii() or not api_key.isprintable() or api_key != api_key.strip():
            raise ClientError("The API key has characters that no key has.")
        self.base_url = base_url.rstrip("/")
        self._timeout = (connect_seconds, read_seconds)
        self._session = requests.Session()
        self._session.headers.update({"Accept-Encoding": "identity", KEY_HEADER: api_key})

    def create_snapshot(
        self, *, compact: bool | None = None, compress: bool = False
    ) -> RemoteSnapshot:
        """
        Let the server take a snapshot. Close what is returned.

        :param compact: True for one without gaps, False for the database's own pages; None to
            leave it to the server. ``method`` of the result tells which it was.
        :param compress: let it compress what it sends, for a slow line; it arrives as it was.
        :raises ClientError: the server could not be used, or a cut-off answer could not be told.
        """

        def ask(more: dict[str, str]) -> requests.Response:
            return self._request(
                "GET",
                "backup",
                params={} if compact is None else {"compact": str(int(compact))},
                headers=({"Accept-Encoding": CODINGS} if compress else {}) | more,
                stream=True,
            )

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
            destination.save(snapshot, path, overwrite=overwrite)

    def stage_restore(
        self, snapshot: BinaryIO, *, now: bool = False, progress: Progress | None = None
    ) -> dict[str, Any]:
        """
        Upload an open file; the server checks and stages it. Its restart applies it.

        Asks first whether the server would take it, so that a wrong key or a file over its
        limit is told before the bytes are sent.

        :param now: let the server apply it at once, without a restart.
        :param progress: called with the number of bytes of each step.
        :returns: what the server answered: status, size, sha256, migrations …
        :raises ServerRefusedError: it said no, with its reason; nothing was staged. With the
            status 409 or, of ``now``, 507 it is staged, and only can't be applied at once.
        :raises TransferInterruptedError: the connection ended; ask for the status.
        """
        snapshot.seek(0)
        size = os.fstat(snapshot.fileno()).st_size
        limit = self.get_restore_status().get("max_upload_bytes")
        if limit is not None and size > limit:
            raise ServerRefusedError(
                f"{self.base_url} takes snapshots up to {limit:,} bytes; this one has {size:,}.",
                status=413,
            )
        answer = self._json(
            "POST",
            "restore",
            params=_apply(now),
            data=RequestBody(snapshot, size, progress),
            headers={"Content-Type": "application/vnd.sqlite3"},
        )
        return self._as_asked(answer, now)

    def undo_restore(self, *, now: bool = False) -> dict[str, Any]:
        """
        Let the server stage what its last restore replaced. Its restart applies it.

        :param now: let the server apply it at once, without a restart.
        :raises ServerRefusedError: it said no, with its reason.
        :raises TransferInterruptedError: the connection ended; ask for the status.
        """
        return self._as_asked(self._json("POST", "restore/undo", params=_apply(now)), now)

    def list_restores(self) -> dict[str, Any]:
        """What happened to restores, newest first, as ``restores``; the copies as ``kept``."""
        return self._json("GET", "restores")

    def get_restore_status(self) -> dict[str, Any]:
        """What is pending on the server, and what its last restore did."""
        return self._json("GET", "restore")

    def discard_pending_restore(self) -> dict[str, Any]:
        """Let the server forget its pending restore."""
        return self._json("DELETE", "restore")

    def close(self) -> None:
        """Drop the connections."""
        self._session.close()

    def __enter__(self) -> "BackupClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _as_asked(self, answer: dict[str, Any], now: bool) -> dict[str, Any]:
        """A release that knows nothing of ``now`` does not mind it, and only stages."""
        if now and answer.get("status") != "applied":
            raise ClientError(
                f"{self.base_url} can't apply a restore without a restart: its release is older.",
                hint="It is staged, and stays pending: restart that server, or discard it.",
            )
        return answer

    def _json(self, method: str, name: str, **arguments: Any) -> dict[str, Any]:
        response = self._request(method, name, **arguments)
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise ClientError(f"{response.url} did not answer as a server of this kind does.")
        return answer

    def _request(
        self, method: str, name: str, *, headers: dict[str, str] | None = None, **arguments: Any
    ) -> requests.Response:
        url = f"{self.base_url}/api/v1/{name}"
        try:
            response = self._session.request(
                method,
                url,
                timeout=self._timeout,
                allow_redirects=False,
                headers={"Accept": "application/json"} | (headers or {}),
                **arguments,
            )
        except (requests.ConnectTimeout, requests.exceptions.InvalidURL) as error:
            raise ServerUnreachableError(f"{url} did not answer: {_cause(error)}.") from error
        except OSError as error:  # all of requests' own are, too
            if method == "POST":
                what = "upload" if "data" in arguments else "request"
                raise TransferInterruptedError(
                    f"The {what} to {url} broke off: {_cause(error)}.",
                    hint="Ask the server for its status before you try again.",
                ) from error
            raise ServerUnreachableError(f"{url} did not answer: {_cause(error)}.") from error
        if response.status_code not in (200, 206):
            with response:
                raise _refused(response)
        return response


def _apply(now: bool) -> dict[str, str]:
    return {"apply": "now"} if now else {}


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # e.g. half of an IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _refused(response: requests.Response) -> ServerRefusedError:
    """The server's own words, or its status where it has none for us."""
    try:
        answer = response.json()
    except (requests.RequestException, ValueError):
        answer = {}
    detail = answer.get("detail") if isinstance(answer, dict) else None
    hint = answer.get("hint") if isinstance(answer, dict) else None
    if not isinstance(detail, str):
        detail = f"{response.status_code} {response.reason}"
    if 300 <= response.status_code < 400:
        hint = f"It redirects to {response.headers.get('Location')}: use that server's URL."
    return ServerRefusedError(
        f"{response.url} refused: {detail}", status=response.status_code, hint=hint or ""
    )


def _cause(error: BaseException) -> str:
    """The innermost words of a nested network error."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error)
