"""A snapshot that a server sends, checked while it arrives."""

import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterator

import requests

from backups.exceptions import ClientError, ServerRefusedError, TransferInterruptedError

CHUNK_BYTES = 1024 * 1024  # 1 MiB
TRIES = 5  # one after the other without a byte in between
BUSY = (502, 503, 504)  # the server, or a proxy in front of it, may answer later
MAGIC = b"SQLite format 3\x00"


class RemoteSnapshot:
    """
    A snapshot that arrives, to iterate over once.

    ``size`` is in bytes, if the server says; ``method`` is how it took it, empty if it doesn't.
    A connection that ends early is made again for the rest, if the server still has the same
    snapshot.
    ``defects`` is how many old ones the server has found; None if it has not looked.
    """

    def __init__(self, response: requests.Response, *, ask_again: "AskAgain | None" = None) -> None:
        """
        Takes over a response whose body is unread.

        :param ask_again: repeats the request with some more headers.
        """
        self._response = response
        self._ask_again = ask_again
        self._sha256 = hashlib.sha256()
        self.name = _filename(response)
        self.url = response.url
        self.is_chunked = "Transfer-Encoding" in response.headers
        self.method = response.headers.get("Snapshot-Method", "")
        defects = response.headers.get("Snapshot-Defects", "")
        self.defects = int(defects) if defects.isdecimal() else None
        is_as_it_is = "Content-Encoding" not in response.headers
        length = response.headers.get("Content-Length" if is_as_it_is else "Snapshot-Size", "")
        self.size = int(length) if length.isdecimal() else None

    def __iter__(self) -> Iterator[bytes]:
        """
        The bytes, decompressed, and an error in their place if the connection ends early.

        :raises TransferInterruptedError: the connection ended, or stalled past the time limit.
        :raises ClientError: what arrives is not a database, e.g. the page of a proxy.
        """
        received, failed = 0, 0
        while True:
            try:
                for chunk in self._response.iter_content(CHUNK_BYTES):
                    if not received and not MAGIC.startswith(chunk[: len(MAGIC)]):
                        raise ClientError(f"{self._response.url} did not answer with a database.")
                    received, failed = received + len(chunk), 0
                    self._hash(chunk)
                    yield chunk
                break
            except (requests.RequestException, OSError) as error:
                failed += 1
                if not self._resume(received, failed):
                    raise TransferInterruptedError(
                        f"The download from {self._response.url} broke off after"
                        f" {received:,} bytes."
                    ) from error
        self._check(received)

    def _check(self, received: int) -> None:
        """Whether it is whole and, where the server has said its SHA-256, the same."""
        if not received:
            raise ClientError(f"{self._response.url} answered with nothing.")
        if self.size is not None and received != self.size:
            raise TransferInterruptedError(
                f"The download from {self._response.url} ended after {received:,} of"
                f" {self.size:,} bytes."
            )

        digest = _digest(self._response)
        if digest is not None and digest != self._sha256.digest():
            raise TransferInterruptedError(
                f"What arrived from {self._response.url} is not what was sent: its SHA-256 differs."
            )

    def _hash(self, chunk: bytes) -> None:
        if self._etag or _digest(self._response) is not None:
            self._sha256.update(chunk)

    @property
    def _etag(self) -> str | None:
        """By which the server knows this very snapshot again; None if it can't give its rest."""
        headers = self._response.headers
        if self._ask_again is None or headers.get("Accept-Ranges") != "bytes":
            return None
        return headers.get("ETag")

    def _resume(self, received: int, failed: int) -> bool:
        """Go on with the rest of the same snapshot. Returns whether there is one."""
        etag = self._etag
        while etag and self._ask_again and failed <= TRIES:
            time.sleep(2 ** (failed - 1) - 1)  # at once, then after 1, 3, 7 and 15 seconds
            try:
                response = self._ask_again({"Range": f"bytes={received}-", "If-Match": etag})
            except ClientError as error:
                if isinstance(error, ServerRefusedError) and error.status not in BUSY:
                    return False  # it is gone
                failed += 1
                continue
            beginning = f"bytes {received}-"
            if response.headers.get("Content-Range", "").startswith(beginning) and (
                response.headers.get("ETag") == etag
            ):
                self._response.close()
                self._response = response
                return True
            response.close()
            return False
        return False

    def close(self) -> None:
        """Drop the connection."""
        self._response.close()

    def __enter__(self) -> "RemoteSnapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


AskAgain = Callable[[dict[str, str]], requests.Response]


def _digest(response: requests.Response) -> bytes | None:
    """The SHA-256 of the whole by the header ``Repr-Digest`` (RFC 9530), if it is there."""
    for member in response.headers.get("Repr-Digest", "").split(","):
        name, _, value = member.strip().partition("=")
        if name == "sha-256" and value.startswith(":") and value.endswith(":"):
            try:
                return base64.b64decode(value[1:-1], validate=True)
            except ValueError:
                return None
    return None


def _filename(response: requests.Response) -> str:
    """The name that the server gives the file, without any folder that it may smuggle in."""
    _, _, name = response.headers.get("Content-Disposition", "").partition('filename="')
    return os.path.basename(name.partition('"')[0]) or "backup.db"
