"""
Compression on the wire, for a client that asks for it.

Memory holds one chunk and the compressor's window, a few MB.

Sources: RFC 9110, 12.5.3 (Accept-Encoding); RFC 8878 (zstd); RFC 1952 (gzip).
"""

import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UNASKED = re.compile(r"gzip\s*,\s*deflate\b")
FASTEST = 1  # of both: somebody waits for the database
GZIP_WBITS = 31  # zlib's way to ask for a gzip header and the largest window


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


COMPRESSORS: dict[str, Callable[[], Compressor]] = {  # the better one first
    "zstd": lambda: zstd.ZstdCompressor(level=FASTEST),
    "gzip": lambda: zlib.compressobj(FASTEST, wbits=GZIP_WBITS),
}


def choose_coding(accepted: str) -> str | None:
    """
    The content coding that a client asks for with its ``Accept-Encoding``; None for no coding.

    HTTP libraries and browsers send ``gzip, deflate …`` with every request, although nobody asked
    for it. A compressed snapshot has no length, is slower on a fast line, and is not a database if
    a program saves the body as it comes. So that header is not taken as a request; ``zstd``,
    ``gzip`` and ``curl --compressed`` are. RFC 9110 allows a plain answer unless it is forbidden.
    """
    if UNASKED.match(accepted.strip().lower()):
        return None
    wanted = dict(_weights(accepted))
    codings = [coding for coding in COMPRESSORS if wanted.get(coding, 0.0) > 0]
    best = max(codings, key=lambda coding: wanted[coding], default=None)
    if best is None or wanted.get("identity", 0.0) > wanted[best]:
        return None
    return best


def compress(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Compress the chunks. If they end with an error, the stream has no end and is not whole."""
    compressor = COMPRESSORS[coding]()
    for chunk in chunks:
        if compressed := compressor.compress(chunk):  # an empty one would end a chunked body
            yield compressed
    yield compressor.flush()


def _weights(accepted: str) -> Iterator[tuple[str, float]]:
    for item in accepted.lower().split(","):
        coding, _, parameter = item.partition(";")
        name, _, value = parameter.partition("=")
        try:
            yield coding.strip(), float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue  # the weight is not a number: ignore the coding
