"""The body of an upload, read from a file as it is sent."""

from typing import BinaryIO

from backups.disk.progress import Progress


class RequestBody:
    """A request body of exactly this length, which reports how far it has been read."""

    def __init__(self, content: BinaryIO, size: int, progress: Progress | None) -> None:
        self._content = content
        self._size = size
        self._left = size
        self._progress = progress or (lambda _: None)

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        chunk = self._content.read(self._left if size < 0 else min(size, self._left))
        if self._left and not chunk:  # else we and the server would wait for each other
            raise OSError("the file became shorter while it was sent")
        self._left -= len(chunk)
        self._progress(len(chunk))
        return chunk
