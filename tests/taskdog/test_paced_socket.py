"""Both ends of a connection, of which one is as slow as a client can be."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from backups.api.pace import Pace, TooSlowError
from taskdog.paced_socket import TAIL_BYTES, PacedSocket, Room

LARGE = bytes(range(256)) * 64 * 1024  # 16 MiB: more than the system takes


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with closing(here), closing(there):
        yield here, there


def paced(here: socket.socket, *, room: int = 0, stall: float = 0.05) -> PacedSocket:
    pace = Pace(bytes_per_second=10**9, stall_seconds=stall)
    return PacedSocket.take_over(here, pace, Room(room))


def read_all(there: socket.socket) -> tuple[threading.Thread, bytearray]:
    received = bytearray()

    def read() -> None:
        while chunk := there.recv(100_000):
            received.extend(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    return thread, received


def test_client_that_sends_nothing_is_dropped_with_one_line_in_the_log(
    ends: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    with closing(paced(ends[0])) as connection:
        for _ in range(2):
            with pytest.raises(TooSlowError):
                connection.recv(10)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "was dropped" in record.getMessage()


def test_client_that_takes_nothing_is_dropped(ends: tuple[socket.socket, socket.socket]) -> None:
    with closing(paced(ends[0])) as connection:
        with pytest.raises(TooSlowError):
            connection.sendall(LARGE)
        assert not connection.tail


def test_what_a_client_has_not_taken_yet_holds_nobody_if_there_is_room(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    with closing(paced(ends[0], room=len(LARGE))) as connection:
        connection.sendall(b"head")
        connection.sendall(LARGE)
        assert connection.tail
        assert not connection.room.take(1)
        connection.forget_tail()
        assert connection.room.take(len(LARGE))


def test_answer_in_pieces_is_kept_up_to_a_limit(ends: tuple[socket.socket, socket.socket]) -> None:
    """A file of a page is less; a download is more, and is written as fast as it is taken."""
    piece = LARGE[: 1024**2]
    with closing(paced(ends[0], room=10 * TAIL_BYTES)) as connection:
        for _ in range(TAIL_BYTES // len(piece)):
            connection.sendall(piece)
        assert connection.tail
        with pytest.raises(TooSlowError):
            connection.sendall(LARGE)
        assert not connection.tail
        assert connection.room.take(10 * TAIL_BYTES), "its room is free again"


@pytest.mark.parametrize("room", [0, 2 * len(LARGE)], ids=["no room", "room"])
def test_bytes_arrive_in_their_order(ends: tuple[socket.socket, socket.socket], room: int) -> None:
    with closing(paced(ends[0], room=room, stall=20)) as connection:
        thread, received = read_all(ends[1])
        for piece in (b"head", LARGE, b"", b"middle", LARGE, b"end"):
            connection.sendall(piece)
        while connection.tail:
            connection.send_some()
        connection.shutdown(socket.SHUT_WR)
        thread.join()
    assert received == b"head" + LARGE + b"middle" + LARGE + b"end"


def test_its_own_time_limit_holds_too(ends: tuple[socket.socket, socket.socket]) -> None:
    with closing(paced(ends[0], stall=60)) as connection:
        connection.settimeout(0.01)
        with pytest.raises(TimeoutError):
            connection.recv(10)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(10)
        assert not connection.is_dropped
