"""Run code that reads a file and writes a file on chunks as they come, in a thread."""

import fcntl
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from django.core.files.base import File

from backups.processes.spawn import starting_thread

PIPE_BYTES = 1024 * 1024  # 1 MiB: the most that Linux gives an ordinary user
F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux only


class ChunkReader(io.RawIOBase):
    """Chunks as a file to read. It remembers an error of the chunks, which a library may hide."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Reads nothing yet."""
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self._position = 0
        self.is_at_end = False
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Some of the next bytes; 0 at the end."""
        while not self._rest:
            if (chunk := self._next()) is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._position += count
        return count

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The chunks as they are. ``chunk_size`` is there since a Django ``File`` has it."""
        while (chunk := self._next()) is not None:
            self._position += len(chunk)
            yield chunk

    def _next(self) -> bytes | None:
        try:
            chunk = next(self._chunks, None)
        except BaseException as error:
            self.error = error
            raise
        self.is_at_end = chunk is None
        return chunk


class SourceFile(File):  # type: ignore[type-arg]
    """What a storage gets to save: it can be read once, and its length is not known."""

    def __init__(self, source: ChunkReader, name: str, at_most: int = 0) -> None:
        """``at_most``: how many bytes can come; 0 if nobody knows. Reads nothing yet."""
        super().__init__(source, name)  # type: ignore[arg-type]
        self._source, self.at_most = source, at_most

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The chunks as they come."""
        return self._source.chunks()

    def multiple_chunks(self, chunk_size: int | None = None) -> bool:
        """Always: nobody may ask for all bytes at once."""
        return True


def through(
    convert: Callable[[ChunkReader, io.FileIO], object], chunks: Iterable[bytes]
) -> Iterator[bytes]:
    """
    What ``convert(reader, writer)`` makes of the chunks, as they come. Memory holds one pipe.

    :raises Exception: an error of the chunks, or else of ``convert``. The output is not whole then.
    """
    source = ChunkReader(chunks)
    outlet, inlet = os.pipe()
    if F_SETPIPE_SZ is not None:
        with suppress(OSError):  # this user has many pipes: this one keeps its default size
            fcntl.fcntl(outlet, F_SETPIPE_SZ, PIPE_BYTES)
    errors: list[BaseException] = []

    def run() -> None:
        with io.FileIO(inlet, "wb") as writer:
            try:
                convert(source, writer)
            except BaseException as error:
                errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with io.FileIO(outlet) as reader:
        try:
            with starting_thread():
                thread.start()
        except BaseException:
            os.close(inlet)
            raise
        try:
            while chunk := reader.read(PIPE_BYTES):
                yield chunk
        finally:
            reader.close()  # a writer that is not done gets an error
            thread.join()
    if source.error is not None:
        raise source.error
    if errors:
        raise errors[0]
