"""A snapshot that a server sends, checked while it arrives."""

import os
from collections.abc import Iterator

import requests

from backups.exceptions import ClientError, TransferInterruptedError

CHUNK_BYTES = 1024 * 1024  # 1 MiB
MAGIC = b"SQLite format 3\x00"


class RemoteSnapshot:
    """
    A snapshot that arrives, to iterate over once.

    ``size`` is in bytes, if the server says; ``method`` is how it took it, empty if it doesn't.
    ``defects`` is how many old ones the server has found; None if it has not looked.
    """

    def __init__(self, response: requests.Response) -> None:
        """Takes over a response whose body is unread."""
        self._response = response
        self.name = _filename(response)
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
        if self.size is not None and received != self.size:
            raise TransferInterruptedError(
                f"The download from {self._response.url} ended after {received:,} of"
                f" {self.size:,} bytes."
            )

    def close(self) -> None:
        """Drop the connection."""
        self._response.close()

    def __enter__(self) -> "RemoteSnapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _filename(response: requests.Response) -> str:
    """The name that the server gives the file, without any folder that it may smuggle in."""
    _, _, name = response.headers.get("Content-Disposition", "").partition('filename="')
    return os.path.basename(name.partition('"')[0]) or "backup.db"
