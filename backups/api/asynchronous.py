"""
A body for an ASGI server: read in the request's own thread, one chunk at a time.

Django would collect an ordinary iterator in memory, whole, before it sends the first byte.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from asgiref.sync import sync_to_async

from backups.api.pace import Pace
from backups.conf import conf

PIECE_BYTES = 64 * 1024


class AsynchronousBody:
    """Takes over a body and sends its bytes. Drops a client that is too slow, as under WSGI."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body
        self._pace = Pace(
            bytes_per_second=conf.min_bytes_per_second, stall_seconds=conf.stall_seconds
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # It runs in the thread of the view, whose database connections end with the request.
        chunks = iter(self._body)
        take = sync_to_async(lambda: next(chunks, None))
        try:
            while (chunk := await take()) is not None:
                for piece in _pieces(chunk):
                    with self._dropping(len(piece)):
                        yield piece  # the server asks for the next one when it has room for it
        finally:
            await sync_to_async(self.close)()  # Django does not close a response that failed

    @contextmanager
    def _dropping(self, count: int) -> Iterator[None]:
        """Cancel the request when its client has been too slow."""
        task = asyncio.current_task()
        assert task is not None
        self._pace.begin()
        seconds = self._pace.seconds_for(count)
        stalled = asyncio.get_running_loop().call_later(seconds, task.cancel)
        try:
            yield
        finally:
            stalled.cancel()
        self._pace.moved(count)

    def close(self) -> None:
        """Close the body, whether it was read or not."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _pieces(chunk: bytes) -> Iterator[bytes]:
    for start in range(0, len(chunk), PIECE_BYTES):
        yield chunk[start : start + PIECE_BYTES]
