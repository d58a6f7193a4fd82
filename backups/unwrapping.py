"""
Unpack a snapshot in gzip or zstd while it is read.

Memory holds only one chunk of each side and the decompressor's window. The reader decides how much
may come out: it stops at its own limit.

Sources: RFC 1952 (gzip); RFC 8878 (zstd).
"""

import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from backups.exceptions import DamagedSnapshotError, WrongLengthError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x50\x2a\x4d\x18"  # the first byte may be up to 0x5f: pzstd writes such frames
MAGIC_BYTES = 4
GZIP_WBITS = 31  # zlib's way to ask for a gzip header and the largest window
STEP_BYTES = 1024 * 1024  # the most that is unpacked at a time
UNPACK = {"gzip": "gunzip", "zstd": "unzstd"}


class Unwrapped:
    """The bytes of a snapshot, unpacked if they are compressed. Iterate over it once."""

    def __init__(self, chunks: Iterable[bytes], *, what: str = "The upload") -> None:
        """Reads nothing yet. Messages begin with ``what``."""
        self._chunks, self._what = chunks, what
        self.wrapping = ""  # "gzip" or "zstd", once the first bytes have been read

    def __iter__(self) -> Iterator[bytes]:
        """
        The bytes, in chunks of bounded size.

        :raises WrongLengthError: the compressed stream is cut off, or something follows it.
        :raises DamagedSnapshotError: it can't be unpacked.
        """
        first, chunks = _with_first_bytes(iter(self._chunks))
        self.wrapping = coding_of(first)
        if self.wrapping == "gzip":
            yield from _gunzip(chunks, self._what)
        elif self.wrapping == "zstd":
            yield from _unzstd(chunks, self._what)
        else:
            yield from chunks


def coding_of(head: bytes) -> str:
    """The compression that these first bytes begin: "gzip", "zstd", or empty for neither."""
    if head.startswith(GZIP):
        return "gzip"
    is_skippable = head[1:4] == SKIPPABLE[1:] and head[0] & 0xF0 == 0x50
    return "zstd" if head.startswith(ZSTD) or is_skippable else ""


def _with_first_bytes(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Enough bytes to recognise the compression, and all chunks, these bytes included."""
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= MAGIC_BYTES:
            break
    return first, chain(filter(None, [first]), chunks)


def _gunzip(chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=GZIP_WBITS)
    for chunk in chunks:
        while chunk:
            if inflater.eof:  # the end of a member: pigz and cat put several in a row
                chunk = chunk.lstrip(b"\0")  # as gzip does: tapes are padded with zeros
                if not chunk:
                    break
                _check_goes_on(chunk, "gzip", what)
                inflater = zlib.decompressobj(wbits=GZIP_WBITS)
            try:
                unpacked = inflater.decompress(chunk, STEP_BYTES)
            except zlib.error as error:
                raise _damaged("gzip", error, what) from error
            if unpacked:
                yield unpacked
            chunk = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    while not inflater.eof and (unpacked := inflater.decompress(b"", STEP_BYTES)):
        yield unpacked
    _check_is_over(inflater.eof, "gzip", what)


def _unzstd(chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    frame = zstd.ZstdDecompressor()
    for chunk in chunks:
        while chunk or not (frame.eof or frame.needs_input):
            if frame.eof:
                _check_goes_on(chunk, "zstd", what)
                frame = zstd.ZstdDecompressor()
            try:
                unpacked = frame.decompress(chunk, STEP_BYTES)
            except zstd.ZstdError as error:
                raise _damaged("zstd", error, what) from error
            if unpacked:
                yield unpacked
            chunk = frame.unused_data if frame.eof else b""
    _check_is_over(frame.eof, "zstd", what)


def _check_goes_on(rest: bytes, coding: str, what: str) -> None:
    """Only another stream may follow the end of one. ``rest`` may have a part of its magic."""
    if not any(coding_of(rest + more[len(rest) :]) == coding for more in (GZIP, ZSTD, SKIPPABLE)):
        raise WrongLengthError(
            f"{what} is longer than it should be: something follows its {coding} stream."
        )


def _check_is_over(is_over: bool, coding: str, what: str) -> None:
    if not is_over:
        raise WrongLengthError(f"{what} is cut off: its {coding} stream ends before it is whole.")


def _damaged(coding: str, error: Exception, what: str) -> DamagedSnapshotError:
    reason = str(error).rstrip(".")
    return DamagedSnapshotError(f"{what}'s {coding} stream can't be unpacked: {reason}.")


def fill_in(words: str, name: str) -> str:
    """Replace FILE in a hint with a name."""
    return re.sub(r"\bFILE\b", lambda _: name, words)
