"""
The client of a remote server, over ``requests``. Knows no Django, so any script can use it:

    from backups.client import BackupClient

    with BackupClient("https://tasks.example.org", api_key) as client:
        client.download(Path("taskdog.db"))

Streams both ways: memory does not grow with the database. Every error is a ``ClientError``,
whose message names the URL. Redirects are not followed, since they would carry the key along.
"""

import os
from collections.abc import Callable, Iterator
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

__all__ = ["BackupClient", "RemoteSnapshot"]

CHUNK_BYTES = 256 * 1024  # 256 KiB
CONNECT_SECONDS = 10.0
READ_SECONDS = 600.0  # longest silence, while the server copies or checks its whole database
MAGIC = b"SQLite format 3\x00"
KEY_HEADER = "X-Api-Key"

Progress = Callable[[int], None]  # called with the number of bytes of each step


class RemoteSnapshot:
    """A snapshot that arrives, to iterate over once. ``size`` is in bytes, if the server says."""

    def __init__(self, response: requests.Response) -> None:
        """Takes over a response whose body is unread."""
        self._response = response
        self.name = _filename(response)
        length = response.headers.get("Content-Length", "")
        self.size = int(length) if length.isdecimal() else None

    def __iter__(self) -> Iterator[bytes]:
        """
        The bytes, and an error in their place if the connection ends early.

        :raises TransferInterruptedError: the connection ended, or stalled past the time limit.
        :raises ClientError: what comes is no database, e.g. the page of a proxy.
        """
        try:
            received = 0
            for chunk in self._response.iter_content(CHUNK_BYTES):
                if not received and not MAGIC.startswith(chunk[: len(MAGIC)]):
                    raise ClientError(f"{self._response.url} did not answer with a database.")
                received += len(chunk)
                yield chunk
        except (requests.RequestException, OSError) as error:
            raise TransferInterruptedError(
                f"The download from {self._response.url} broke off after {received:,} bytes."
            ) from error
        if not received:
            raise ClientError(f"{self._response.url} answered with nothing.")

    def close(self) -> None:
        """Drop the connection."""
        self._response.close()

    def __enter__(self) -> "RemoteSnapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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

    def create_snapshot(self) -> RemoteSnapshot:
        """
        Let the server take a snapshot. Close what is returned.

        :raises ClientError: the server could not be used, or a cut-off answer could not be told.
        """
        snapshot = RemoteSnapshot(response := self._request("GET", "backup", stream=True))
        if snapshot.size is None and "Transfer-Encoding" not in response.headers:
            snapshot.close()
            raise ClientError(f"{response.url} does not say how long its answer is.")
        return snapshot

    def download(self, path: Path, *, overwrite: bool = False) -> None:
        """
        Take a snapshot into a file, which appears only when it is whole.

        :raises DestinationError: it exists and ``overwrite`` is false, or can't be written.
        :raises ClientError: the server could not be used; no file is left then.
        """
        with self.create_snapshot() as snapshot:
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
            data=_Body(snapshot, size, progress),
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

    def _request(self, method: str, name: str, **arguments: Any) -> requests.Response:
        url = f"{self.base_url}/api/v1/{name}"
        try:
            response = self._session.request(
                method,
                url,
                timeout=self._timeout,
                allow_redirects=False,
                **{"headers": {"Accept": "application/json"}} | arguments,
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
        if response.status_code != 200:
            with response:
                raise _refused(response)
        return response


class _Body:
    """A request body of just this length, which tells how far it has been read."""

    def __init__(self, content: BinaryIO, size: int, progress: Progress | None) -> None:
        self._content = content
        self._size = size
        self._left = size
        self._progress = progress or (lambda _: None)

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        chunk = self._content.read(self._left if size < 0 else min(size, self._left))
        if self._left and not chunk:  # the server would wait for the rest, and we for the server
            raise OSError("the file became shorter meanwhile")
        self._left -= len(chunk)
        self._progress(len(chunk))
        return chunk


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


def _filename(response: requests.Response) -> str:
    """The name that the server gives the file, without any folder that it may smuggle in."""
    _, _, name = response.headers.get("Content-Disposition", "").partition('filename="')
    return os.path.basename(name.partition('"')[0]) or "backup.db"


def _cause(error: BaseException) -> str:
    """The innermost words of a nested network error."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error)
