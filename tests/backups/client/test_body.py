"""The body of an answer is read a piece at a time, and what is compressed is unpacked so."""

import functools
import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from unittest.mock import Mock

import pytest
from requests import Response

from backups.api.compression import compress
from backups.client import BackupClient
from backups.client.body import CHUNK_BYTES, MOST_ANSWER_BYTES, read_answer
from backups.exceptions import (
    ClientError,
    DestinationError,
    ServerUnreachableError,
    TransferInterruptedError,
)
from tests.backups.wire import Request, as_database, standing_in

DATABASE = as_database(bytes(range(256)) * 4096)
MEGABYTE = bytes(1024**2)
NOTHING = b'{"status": "nothing"}'


def sending(headers: dict[str, str], body: bytes) -> Callable[[Request], None]:
    """A server that sends just this, with its length."""

    def answer(request: Request) -> None:
        request.reply(200, {"Content-Length": str(len(body))} | headers, body)

    return answer


def download(answer: Callable[[Request], None], folder: Path) -> bytes:
    """What is saved of an answer; the folder holds nothing else then."""
    try:
        with standing_in(answer) as server, BackupClient(server.url, "key") as client:
            client.download(folder / "saved.db", compress=True)
    except Exception:
        assert not list(folder.iterdir())
        raise
    assert [path.name for path in folder.iterdir()] == ["saved.db"]
    return (folder / "saved.db").read_bytes()


def packed(chunks: Iterator[bytes], coding: str) -> bytes:
    return b"".join(compress(chunks, coding))


@functools.cache
def bomb(coding: str, *, is_counted: bool = True) -> bytes:
    """
    A few KB that begin as a database and unpack to 64 MiB.

    :param is_counted: whether its header says how many pages it has; a SQLite before 3.7 did not.
    """
    head = bytearray(DATABASE[:4096])
    if not is_counted:
        head[92:96] = bytes(4)
    return packed(iter([bytes(head), *[MEGABYTE] * 64]), coding)


def chunked(body: bytes, coding: str, **more: str) -> Callable[[Request], None]:
    """A server that sends this in a coding, and so without a length."""
    headers = {"Content-Encoding": coding, "Transfer-Encoding": "chunked"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    whole = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    return lambda request: request.reply(200, headers, whole)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("announced", [{}, {"Snapshot_Size": str(len(DATABASE))}])
def test_compressed_snapshot_arrives_as_it_was(
    tmp_path: Path, coding: str, announced: dict[str, str]
) -> None:
    body = packed(iter([DATABASE]), coding)
    assert download(chunked(body, coding, **announced), tmp_path) == DATABASE


@pytest.mark.parametrize("is_counted", [True, False])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_what_unpacks_to_more_than_was_announced_is_stopped_there(
    tmp_path: Path, coding: str, is_counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr("backups.disk.files.write_all", lambda _, chunk: written.append(len(chunk)))
    size = 3 * CHUNK_BYTES if not is_counted else 20_000
    answer = chunked(bomb(coding, is_counted=is_counted), coding, Snapshot_Size=str(size))
    with pytest.raises(ClientError, match=f"sends more than the {size:,} bytes"):
        download(answer, tmp_path)
    assert sum(written) <= size


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_what_nobody_announced_ends_where_its_header_says(tmp_path: Path, coding: str) -> None:
    with pytest.raises(ClientError, match="longer than the database that its header"):
        download(chunked(bomb(coding), coding), tmp_path)


def test_what_nobody_announced_at_all_takes_half_of_the_disk_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.disk.files.free_bytes", lambda folder: 8 * CHUNK_BYTES)
    answer = chunked(bomb("gzip", is_counted=False), "gzip")
    with pytest.raises(DestinationError, match=r"stopped after 4,194,304 bytes, half of the free"):
        download(answer, tmp_path)


def test_file_of_gzip_is_not_taken_for_a_database(tmp_path: Path) -> None:
    answer = sending({"Content-Type": "application/gzip"}, gzip.compress(DATABASE))
    with pytest.raises(ClientError, match="with a database: it is compressed by gzip"):
        download(answer, tmp_path)


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "deflate", "\x1b[2J"])
def test_coding_that_nobody_asked_for_is_refused(tmp_path: Path, coding: str) -> None:
    headers = {"Content-Encoding": coding, "Snapshot-Size": str(len(DATABASE))}
    with pytest.raises(ClientError, match="in a coding that was not asked for") as refused:
        download(sending(headers, gzip.compress(gzip.compress(DATABASE))), tmp_path)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    ("coding", "spoil"),
    [
        ("gzip", lambda body: body[:-9]),
        ("gzip", lambda body: body[:50] + b"?" * 40 + body[90:]),
        ("zstd", lambda body: body[:-9]),
        ("zstd", lambda body: b"\x28\xb5\x2f\xfd" + b"?" * len(body)),
    ],
)
def test_stream_that_is_cut_off_or_damaged_is_told(
    tmp_path: Path, coding: str, spoil: Callable[[bytes], bytes]
) -> None:
    headers = {"Content-Encoding": coding, "Snapshot-Size": str(len(DATABASE))}
    body = spoil(packed(iter([DATABASE]), coding))
    with pytest.raises(TransferInterruptedError, match=f"its {coding} stream is damaged or cut"):
        download(sending(headers, body), tmp_path)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "9" * 5000},
        {"Transfer-Encoding": "identity"},
        {"Content-Length": "-1"},
        {"Content-Length": "many"},
    ],
)
def test_length_that_is_none_promises_no_end(tmp_path: Path, headers: dict[str, str]) -> None:
    def answer(request: Request) -> None:
        request.reply(200, headers, DATABASE)

    with pytest.raises(ClientError, match="does not say how long its answer is"):
        download(answer, tmp_path)


# An answer in JSON


def _endless() -> bytes:
    return b'{"status": "' + b"a" * (MOST_ANSWER_BYTES + 1) + b'"}'


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, _endless()),
        ({"Content-Encoding": "gzip"}, gzip.compress(_endless())),
        (
            {"Content-Encoding": "gzip, gzip"},
            gzip.compress(gzip.compress(b'{"status": "nothing"}')),
        ),
        ({"Content-Encoding": "gzip"}, b"not gzip"),
        ({}, b'{"a": ' + b"[" * 100_000),
        ({}, b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"),
        ({}, b'{"status": ' + b"9" * 10_000 + b"}"),
        ({}, b'"nothing"'),
        ({}, b"\xff\xfe\x00"),
    ],
    ids=["endless", "bomb", "twice", "damaged", "open", "deep", "number", "text", "bytes"],
)
def test_answer_that_no_site_gives_is_an_error_in_a_sentence(
    headers: dict[str, str], body: bytes
) -> None:
    with (
        standing_in(sending(headers, body)) as server,
        BackupClient(server.url, "key") as client,
        pytest.raises(ServerUnreachableError, match="is not from a server with this API"),
    ):
        client.get_restore_status()


def test_answer_in_pieces_of_one_byte_costs_no_copy_for_each() -> None:
    response = Response()
    response.raw = Mock()
    response.raw.stream.return_value = chain(repeat(b" ", 600_000), [NOTHING])
    before = time.thread_time()
    assert read_answer(response) == {"status": "nothing"}
    assert time.thread_time() - before < 3  # with the copies it is twice that


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_answer_that_a_proxy_compresses_is_read(coding: str) -> None:
    body = packed(iter([NOTHING]), coding)
    with (
        standing_in(sending({"Content-Encoding": coding}, body)) as server,
        BackupClient(server.url, "key") as client,
    ):
        assert client.get_restore_status() == {"status": "nothing"}


def test_body_of_a_redirect_is_not_read(tmp_path: Path) -> None:
    given_up = threading.Event()

    def redirect(request: Request) -> None:
        headers = {"Location": "http://[evil", "Content-Length": str(10**12)}
        request.reply(302, headers, zlib.compress(b"x"))
        given_up.wait(20)

    with standing_in(redirect) as server, BackupClient(server.url, "key", read_seconds=0.2) as ours:
        with pytest.raises(ClientError):
            ours.download(tmp_path / "saved.db")
        given_up.set()
    assert not list(tmp_path.iterdir())
