"""A snapshot that a server sends, checked while it arrives."""

import hashlib
import time
from collections.abc import Callable, Iterator

import requests
from urllib3.exceptions import HTTPError

from backups.client.arrival import NOT_ASKED, checked
from backups.client.body import coding_of, plain_chunks
from backups.client.headers import number, repr_digest
from backups.client.server_words import shown
from backups.client.snapshot_name import offered_name, own_name
from backups.exceptions import (
    ClientError,
    InvalidSnapshotError,
    ServerRefusedError,
    TransferInterruptedError,
)

TRIES = 5  # in a row, without a byte in between
BUSY = (502, 503, 504)  # the server, or a proxy in front of it, may answer later


class RemoteSnapshot:
    """
    A snapshot that is arriving. Iterate over it once.

    ``size`` is in bytes, None if the server does not say; ``method`` is how it was taken, empty if
    the server does not say. ``name`` is what to call it: the server's choice if that has the form
    of a snapshot's name; otherwise it is made up here and ``is_named_here`` is true. ``defects`` is
    how many old defects the server has found; None if it has not looked.
    If the connection ends early, another fetches the rest, as long as the server has it.
    """

    def __init__(
        self,
        response: requests.Response,
        *,
        ask_again: "AskAgain | None" = None,
        is_database: bool = True,
    ) -> None:
        """
        Takes over a response with an unread body.

        :param ask_again: adds headers to its request.
        :param is_database: False for a stored file, which is packed.
        """
        self._response, self._is_database = response, is_database
        self._ask_again = ask_again
        self._sha256 = hashlib.sha256()
        self.url = response.url
        headers = response.headers
        self.method = shown(headers.get("Snapshot-Method", ""), 20)
        offered = offered_name(headers.get("Content-Disposition", ""))
        self.name = offered or own_name(self.url, ".dump" if self.method == "dump" else ".db")
        self.is_named_here = offered is None
        self.is_chunked = headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
        self.defects = number(headers.get("Snapshot-Defects"))
        # If the body is compressed, this is its compressed length.
        length = None if coding_of(response) else number(headers.get("Content-Length"))
        self.size = number(headers.get("Snapshot-Size")) if length is None else length

    def __iter__(self) -> Iterator[bytes]:
        """
        The bytes of a whole database, decompressed; or of a stored file, as it is.

        :raises TransferInterruptedError: the connection ended, or stalled past the time limit.
        :raises ClientError: this is not a database, e.g. a proxy's error page, or it is longer than
            announced.
        """
        arriving = self._arriving()
        return checked(arriving, self.url, self.size) if self._is_database else arriving

    def _arriving(self) -> Iterator[bytes]:
        """The bytes until the end, over as many connections as necessary."""
        received, failed = 0, 0
        while True:
            try:
                for chunk in plain_chunks(self._response):
                    received, failed = received + len(chunk), 0
                    self._check_is_announced(received)
                    self._hash(chunk)
                    yield chunk
                break
            except InvalidSnapshotError as error:
                raise TransferInterruptedError(
                    f"The download from {self.url} can't be unpacked: its"
                    f" {coding_of(self._response)} stream is damaged or cut off."
                ) from error
            except (HTTPError, OSError) as error:
                failed += 1
                if not self._resume(received, failed):
                    raise TransferInterruptedError(
                        f"The download from {self.url} broke off after {received:,} bytes."
                    ) from error
        self._check(received)

    def _check_is_announced(self, received: int) -> None:
        """A few KB can unpack to more than the disk can hold."""
        if self.size is not None and received > self.size:
            raise ClientError(
                f"{self.url} sends more than the {self.size:,} bytes that it announced.",
                hint=NOT_ASKED,
            )

    def _check(self, received: int) -> None:
        """Refuse it if it is not whole, or if its SHA-256 is not the one that the server sent."""
        if not received:
            raise ClientError(f"{self.url} answered with nothing.")
        if self.size is not None and received != self.size:
            raise TransferInterruptedError(
                f"The download from {self.url} ended after {received:,} of {self.size:,} bytes."
            )
        digest = repr_digest(self._response.headers)
        if digest is not None and digest != self._sha256.hexdigest():
            raise TransferInterruptedError(
                f"What arrived from {self.url} is not what was sent: its SHA-256 differs."
            )

    def _hash(self, chunk: bytes) -> None:
        if self._etag or repr_digest(self._response.headers) is not None:
            self._sha256.update(chunk)

    @property
    def _etag(self) -> str | None:
        """The server's name for this very snapshot; None if the server can't send its rest."""
        headers = self._response.headers
        if self._ask_again is None or headers.get("Accept-Ranges") != "bytes":
            return None
        return headers.get("ETag")

    def _resume(self, received: int, failed: int) -> bool:
        """Continue with the rest of the same snapshot. Returns False if the server lacks it."""
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
            if (
                response.headers.get("Content-Range", "").startswith(beginning)
                and response.headers.get("ETag") == etag
                and not coding_of(response)
            ):
                self._response.close()
                self._response = response
                return True
            response.close()
            return False
        return False

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def __enter__(self) -> "RemoteSnapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


AskAgain = Callable[[dict[str, str]], requests.Response]
