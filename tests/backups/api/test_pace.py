import errno
from collections.abc import Iterator
from unittest import mock

import pytest

from backups.api.pace import Pace, TooSlowError


@pytest.fixture
def clock() -> Iterator[mock.Mock]:
    with mock.patch("time.monotonic", return_value=1000.0) as running:
        yield running


@pytest.fixture
def pace(clock: mock.Mock) -> Pace:
    return Pace(bytes_per_second=100, stall_seconds=30)


def test_client_that_moves_nothing_has_the_seconds_of_a_stall(pace: Pace) -> None:
    assert pace.begin() == 1030


def test_client_as_fast_as_the_rate_goes_on_for_ever(pace: Pace, clock: mock.Mock) -> None:
    pace.begin()
    for _ in range(1000):
        clock.return_value += 20
        assert pace.moved(2000) == clock.return_value + 30


def test_client_that_moves_a_byte_now_and_then_is_over_as_if_it_had_stopped(
    pace: Pace, clock: mock.Mock
) -> None:
    deadline = pace.begin()
    for _ in range(5):
        clock.return_value += 5
        deadline = pace.moved(1)
    assert deadline == pytest.approx(1030.05)


def test_half_the_rate_lasts_twice_as_long(pace: Pace, clock: mock.Mock) -> None:
    deadline = pace.begin()
    while clock.return_value < deadline:
        clock.return_value += 1
        deadline = pace.moved(50)
    assert clock.return_value == pytest.approx(1060, abs=1)


def test_nothing_is_saved_up_by_being_fast(pace: Pace, clock: mock.Mock) -> None:
    pace.begin()
    assert pace.moved(10**9) == 1030


def test_what_the_server_does_itself_costs_nothing(pace: Pace, clock: mock.Mock) -> None:
    pace.begin()
    clock.return_value += 10
    pace.moved(0)
    clock.return_value += 3600
    assert pace.begin() == clock.return_value + 20


def test_servers_take_the_error_for_a_client_that_has_gone() -> None:
    error = TooSlowError("it was too slow")
    assert error.errno == errno.ECONNRESET
    assert "it was too slow" in str(error)
