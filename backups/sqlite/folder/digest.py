"""
The SHA-256 of chunks as they pass, in a separate thread: hashing takes as long as writing, and
``hashlib`` lets other threads run.
"""

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

MOST_WAITING = 2  # chunks that wait in memory to be hashed


class Digest:
    """
    SHA-256 in the background. The thread ends with the block.

    with Digest() as digest:
        for chunk in chunks:
            digest.update(chunk)
        sha256 = digest.hexdigest()
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, "digest")
        self._has_thread = True
        self._waiting: deque[Future[None]] = deque()

    def update(self, chunk: bytes) -> None:
        """Hash the next chunk. Waits if too many wait already, or if there is no thread."""
        if self._has_thread:
            try:
                self._waiting.append(self._thread.submit(self._sha256.update, chunk))
            except RuntimeError:  # the system starts no thread; only the first chunk needs one
                self._thread.shutdown(wait=False, cancel_futures=True)
                self._has_thread = False
        if not self._has_thread:
            self._sha256.update(chunk)
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()

    def hexdigest(self) -> str:
        """The hash of all chunks, as 64 hex digits. Waits until all are hashed."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._sha256.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
