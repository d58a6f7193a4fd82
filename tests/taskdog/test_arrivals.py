import pytest

from taskdog.arrivals import MAX_HEAD_BYTES, Arrival

HEAD = b"POST /api/v1/tasks?a=1 HTTP/1.1\r\nHost: localhost\r\n"


def byte_by_byte(data: bytes) -> Arrival:
    arrival = Arrival()
    for value in data[:-1]:
        arrival.add(bytes([value]))
        assert not arrival.has_head or arrival.missing_bytes
    arrival.add(data[-1:])
    return arrival


@pytest.mark.parametrize("before", [b"", b"\r\n"], ids=["as it is", "after an empty line"])
def test_head_is_whole_at_its_empty_line_and_not_before(before: bytes) -> None:
    arrival = byte_by_byte(before + HEAD + b"\r\n")
    assert arrival.has_head
    assert arrival.missing_bytes == 0
    assert arrival.target == (b"POST", b"/api/v1/tasks")


@pytest.mark.parametrize(
    "length", [b"Content-Length: 5", b"content-length:5", b"CONTENT-LENGTH: 5 "]
)
def test_small_body_is_waited_for(length: bytes) -> None:
    arrival = byte_by_byte(HEAD + length + b"\r\n\r\n" + b"12345")
    assert arrival.body_bytes == 5
    arrival.add(b"GET / HTTP")  # the next request, which may have come already
    assert arrival.missing_bytes == 0


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: 0x5\r\n",
        b"X-Content-Length: 5\r\n",
        b"",
    ],
)
def test_body_of_no_one_length_is_left_to_the_parser(headers: bytes) -> None:
    arrival = Arrival(HEAD + headers + b"\r\n")
    assert arrival.has_head
    assert arrival.missing_bytes == 0


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"\r\n\r\nGET / HTTP/1.1\r\n", b"\n\r\n\r\n"])
def test_head_with_nothing_in_it_is_whole_so_that_it_can_be_refused(head: bytes) -> None:
    assert Arrival(head).has_head


def test_head_without_an_end_is_too_long_at_some_time() -> None:
    arrival = Arrival(HEAD)
    assert not arrival.is_too_long
    arrival.add(b"X: " + b"a" * MAX_HEAD_BYTES)
    assert arrival.is_too_long


def test_long_body_does_not_make_a_head_too_long() -> None:
    assert not Arrival(HEAD + b"\r\n" + bytes(2 * MAX_HEAD_BYTES)).is_too_long


def test_client_that_waits_to_be_asked_for_its_body_is_asked_once() -> None:
    arrival = Arrival(HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert arrival.take_expectation()
    assert not arrival.take_expectation()
    assert bytes(arrival.data) == HEAD + b"Content-Length: 3\r\n\r\n"
    assert arrival.missing_bytes == 3
    arrival.add(b"abc")
    assert arrival.missing_bytes == 0


def test_older_client_is_not_asked() -> None:
    head = HEAD.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\n\r\n"
    assert not Arrival(head).take_expectation()


@pytest.mark.parametrize(
    "written",
    [
        b"/api/v1/restore",
        b"/api/v1/rest%6Fre",
        b"/%61pi/v1/restore?apply=now",
        b"http://localhost:8000/api/v1/restore",
        b"HTTP://x/api/v1/restore#end",
    ],
)
def test_path_is_the_one_that_the_site_will_know_however_it_was_written(written: bytes) -> None:
    arrival = Arrival(b"POST " + written + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert arrival.target == (b"POST", b"/api/v1/restore")
