"""How far some long work has come."""

from collections.abc import Callable, Iterable, Iterator

Progress = Callable[[int], None]  # called with the number of bytes of each step


def counted(chunks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    """Pass the chunks on, and report the size of each to ``progress``."""
    for chunk in chunks:
        progress(len(chunk))
        yield chunk
