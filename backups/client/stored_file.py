"""Download a stored file, over as many connections as necessary, and over several runs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from backups.client.arrival import NOT_ASKED
from backups.client.body import coding_of
from backups.client.headers import number, repr_digest
from backups.client.part import Part, open_part
from backups.disk import atomic_file, files
from backups.disk.progress import Progress
from backups.exceptions import (
    ClientError,
    DestinationError,
    ServerRefusedError,
    ServerUnreachableError,
    TransferInterruptedError,
)

CHUNK_BYTES = 1024 * 1024  # 1 MiB
TRIES = 5  # in a row, without a byte in between
MOST_CHANGES = 3  # of the file on the server while it is downloaded
LATER = (408, 429, 502, 503, 504)  # the server, or a proxy in front of it, may answer later

AskAgain = Callable[[dict[str, str]], requests.Response]


def save_stored_file(
    stored: dict[str, Any],
    ask: AskAgain,
    destination: Path,
    *,
    overwrite: bool,
    progress: Progress,
) -> None:
    """
    Save a stored file, which has its name only once it is whole and its SHA-256 is right.

    What arrives goes to ``<destination>.<hash>.part``. If the connection ends, the rest is asked
    for; if the server has another file by then, this begins anew. If it can't go on, the part
    stays, and the next run begins there.

    :param stored: what the server says of it: its ``sha256`` and ``size``.
    :param ask: asks for it, with more headers.
    :raises DestinationError: it exists and ``overwrite`` is false, or can't be written.
    :raises TransferInterruptedError: it broke off too often, or is not what was sent.
    :raises ClientError: the server could not be used.
    """
    atomic_file.check(destination, overwrite=overwrite)
    with open_part(destination, str(stored.get("sha256") or "unknown")) as part:
        _Download(stored, ask, part, progress).run()
        part.publish(destination, overwrite=overwrite)


class _Download:
    def __init__(
        self, stored: dict[str, Any], ask: AskAgain, part: Part, progress: Progress
    ) -> None:
        self._name, self._expected = str(stored.get("name")), stored.get("sha256")
        self._ask, self._part, self._progress = ask, part, progress
        self._etag = f'"{self._expected}"' if self._expected else ""
        self._digest: str | None = self._expected  # hex
        self._total: int | None = None
        self._changes = 0
        part.is_worth_keeping = bool(self._expected)
        if part.size > int(stored["size"]) or not part.is_worth_keeping:
            part.clear()
        self._is_whole = 0 < part.size == stored["size"]  # of an earlier run
        progress(part.size)

    def run(self) -> None:
        failed = 0
        while not self._is_whole:
            before = self._part.size
            try:
                self._receive()
            except (HTTPError, OSError, ClientError) as error:
                if not _may_pass(error):
                    raise
                failed = 1 if self._part.size > before else failed + 1
                if failed > TRIES:
                    raise self._broken_off(error) from error
                time.sleep(2 ** (failed - 1) - 1)  # at once, then after 1, 3, 7 and 15 seconds
        self._check()

    def _receive(self) -> None:
        """What one connection brings. Returns if all of it has come."""
        part = self._part
        goes_on = part.size > 0 and bool(self._etag)
        headers = {"Range": f"bytes={part.size}-", "If-Range": self._etag} if goes_on else {}
        with self._ask(headers) as response:
            if response.status_code != requests.codes.partial_content:
                self._begin_anew(response)
            elif not goes_on or not self._is_the_rest(response):
                self._etag = ""  # ask for the whole
                raise TransferInterruptedError(f"{response.url} sent another part.")
            self._total = self._total_of(response)
            _check_room(part.path.parent, (self._total or 0) - part.size)
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                if self._total is not None and part.size + len(chunk) > self._total:
                    raise ClientError(
                        f"{response.url} sends more than the {self._total:,} bytes that it"
                        " announced.",
                        hint=NOT_ASKED,
                    )
                part.append(chunk)
                self._progress(len(chunk))
        if self._total is not None and part.size < self._total:
            raise TransferInterruptedError(f"{response.url} ended after {part.size:,} bytes.")
        self._is_whole = True

    def _begin_anew(self, response: requests.Response) -> None:
        etag = response.headers.get("ETag", "")
        if self._etag and etag != self._etag:
            self._changes += 1
            if self._changes > MOST_CHANGES:
                raise ClientError(f"{response.url} sends another file each time.")
        if coding_of(response):
            raise ClientError(
                f"{response.url} answered in a coding that was not asked for.", hint=NOT_ASKED
            )
        self._progress(-self._part.size)
        self._part.clear()
        # A weak one does not name the very bytes.
        self._etag = etag if etag.startswith('"') else ""
        self._digest = repr_digest(response.headers) or self._expected
        # The next run looks for a part of what the list says now.
        self._part.is_worth_keeping = bool(self._expected) and etag == f'"{self._expected}"'

    def _is_the_rest(self, response: requests.Response) -> bool:
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {self._part.size}-")
        is_same = response.headers.get("ETag") == self._etag
        return begins and is_same and not coding_of(response)

    def _total_of(self, response: requests.Response) -> int | None:
        if response.status_code == requests.codes.partial_content:
            return number(response.headers.get("Content-Range", "").rpartition("/")[2])
        return number(response.headers.get("Content-Length"))

    def _check(self) -> None:
        if self._digest is not None and self._digest != self._part.sha256:
            self._part.is_worth_keeping = False
            raise TransferInterruptedError(
                f"What arrived of {self._name} is not what was sent: its SHA-256 differs."
            )

    def _broken_off(self, error: Exception) -> TransferInterruptedError:
        part = self._part
        of = f" of {self._total:,}" if self._total is not None else ""
        hint = "Try again."
        if part.is_worth_keeping and part.size:
            hint = f"They are kept in {part.path}: the same command goes on with them."
        return TransferInterruptedError(
            f"The download of {self._name} broke off after {part.size:,}{of} bytes.", hint=hint
        )


def _may_pass(error: Exception) -> bool:
    """Whether it may be better at the next try."""
    if isinstance(error, ServerRefusedError):
        return error.status in LATER
    is_ours = isinstance(error, ClientError)
    return not is_ours or isinstance(error, ServerUnreachableError | TransferInterruptedError)


def _check_room(folder: Path, size: int) -> None:
    if size > 0 and not files.has_room(folder, size):
        raise DestinationError(
            f"{size:,} bytes are to come, but {files.free_bytes(folder):,} are free in {folder}.",
            hint="Choose another place with -o, or make room.",
        )
