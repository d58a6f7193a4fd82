import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from backups.archive.piped import ChunkReader, through

LARGE = 3 * 1024 * 1024  # more than the pipe holds


def copy(reader: ChunkReader, writer: io.FileIO) -> None:
    while chunk := reader.read(100_000):
        writer.write(chunk)


def all_of(reader: ChunkReader, writer: io.FileIO) -> None:
    writer.write(reader.read())


def nothing(reader: ChunkReader, writer: io.FileIO) -> None:
    pass


def fails(reader: ChunkReader, writer: io.FileIO) -> None:
    writer.write(reader.read(100))
    raise KeyError("of convert")


def hides_errors(reader: ChunkReader, writer: io.FileIO) -> None:
    try:
        copy(reader, writer)
    except Exception as error:
        raise ValueError("something went wrong") from error


def breaks_off() -> Iterator[bytes]:
    yield b"x" * LARGE
    raise RuntimeError("of the source")


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = descriptors(), threading.active_count()
    yield
    assert (descriptors(), threading.active_count()) == before


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("convert", [copy, all_of])
@pytest.mark.parametrize(
    "chunks", [[], [b""], [b"a", b"", b"bc"], [b"x" * LARGE], [b"x" * 1000] * 5000]
)
def test_chunks_go_through(
    convert: Callable[[ChunkReader, io.FileIO], None], chunks: list[bytes]
) -> None:
    assert b"".join(through(convert, chunks)) == b"".join(chunks)


def test_what_reads_nothing_gives_nothing() -> None:
    assert list(through(nothing, [b"a" * LARGE])) == []


@pytest.mark.parametrize("convert", [copy, all_of, hides_errors])
def test_an_error_of_the_source_comes_out_as_it_is(
    convert: Callable[[ChunkReader, io.FileIO], None],
) -> None:
    with pytest.raises(RuntimeError, match="of the source"):
        list(through(convert, breaks_off()))


def test_an_error_of_the_conversion_comes_out_after_what_it_has_written() -> None:
    arriving = through(fails, [b"x" * LARGE])
    assert next(arriving) == b"x" * 100
    with pytest.raises(KeyError, match="of convert"):
        next(arriving)


@pytest.mark.parametrize("source", [[b"x" * LARGE] * 3, breaks_off()])
def test_a_reader_may_stop_early(source: Iterable[bytes]) -> None:
    arriving = through(copy, source)
    next(arriving)
    arriving.close()  # type: ignore[attr-defined]


def test_a_reader_that_never_begins_leaves_nothing() -> None:
    through(copy, [b"x"])


def test_two_can_follow_one_another() -> None:
    chunks = [b"x" * 1000] * 5000
    assert b"".join(through(copy, through(copy, chunks))) == b"".join(chunks)


def test_a_file_of_chunks_can_be_read_in_any_steps() -> None:
    reader = ChunkReader([b"abc", b"", b"defg"])
    assert (reader.read(2), reader.tell()) == (b"ab", 2)
    assert (reader.read(10), reader.tell()) == (b"c", 3)
    assert (reader.read(), reader.read(), reader.tell()) == (b"defg", b"", 7)
