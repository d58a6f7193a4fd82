"""Shared and exclusive locks between real processes."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from backups.sqlite.locking import locks
from tests.backups import builders


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """This process's own descriptor of the lock file."""
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def sharing(path: Path) -> Callable[[IO[str], IO[str]], None]:
    """Take the shared lock, say so, and hold it until asked for another."""

    def work(requests: IO[str], answers: IO[str]) -> None:
        descriptor = os.open(path, os.O_RDWR)
        assert locks.try_share(descriptor)
        print("shared", file=answers)
        for request in requests:
            if request == "try\n":
                got = locks.try_exclusive(descriptor, keep_shared=True)
                print("exclusive" if got else "refused", file=answers)
            elif request == "step down\n":
                locks.step_down(descriptor)
                print("shared", file=answers)

    return work


def ask(requests: IO[str], answers: IO[str], request: str) -> str:
    print(request, file=requests)
    return answers.readline().strip()


def test_many_share_and_nobody_is_alone_then(descriptor: int, tmp_path: Path) -> None:
    with (
        builders.forked(sharing(tmp_path / "lock")) as (first, requests, answers),
        builders.forked(sharing(tmp_path / "lock")) as (second, _, more_answers),
    ):
        assert (answers.readline(), more_answers.readline()) == ("shared\n", "shared\n")
        assert not locks.try_exclusive(descriptor, keep_shared=False)
        assert locks.holders(descriptor) == {first, second}
        assert ask(requests, answers, "try") == "refused"
        assert locks.holders(descriptor) == {first, second}, "a failed try keeps the shared lock"
    assert locks.holders(descriptor) == set()
    assert locks.try_exclusive(descriptor, keep_shared=False)


def test_each_of_a_dozen_holders_is_found(descriptor: int, tmp_path: Path) -> None:
    with ExitStack() as stack:
        pids = set()
        for _ in range(12):
            pid, _requests, answers = stack.enter_context(
                builders.forked(sharing(tmp_path / "lock"))
            )
            assert answers.readline() == "shared\n"
            pids.add(pid)
        assert locks.holders(descriptor) == pids


def test_equal_pids_of_two_containers_are_two_holders(descriptor: int, tmp_path: Path) -> None:
    """A lock that another pid namespace holds is seen and is in the way."""
    other = os.open(tmp_path / "lock", os.O_RDWR)
    slot = locks.FIRST_SLOT + 77 * locks.PIDS + os.getpid()
    locks._set(other, 0, slot, 1)  # F_RDLCK
    assert locks.try_share(descriptor)
    assert locks.holders(descriptor) == {os.getpid()}
    assert not locks.try_exclusive(descriptor, keep_shared=True)
    os.close(other)
    assert locks.try_exclusive(descriptor, keep_shared=True)


def test_one_that_steps_down_lets_others_in_but_nobody_be_alone(
    descriptor: int, tmp_path: Path
) -> None:
    with builders.forked(sharing(tmp_path / "lock")) as (pid, requests, answers):
        assert answers.readline() == "shared\n"
        assert ask(requests, answers, "try") == "exclusive"
        assert locks.holders(descriptor) == set(), "an applier is no sharer"
        assert not locks.try_exclusive(descriptor, keep_shared=False)
        assert ask(requests, answers, "step down") == "shared"
        assert locks.holders(descriptor) == {pid}
        assert not locks.try_exclusive(descriptor, keep_shared=False)
        assert locks.try_share(descriptor)


def test_closing_another_descriptor_of_the_file_drops_nothing(
    descriptor: int, tmp_path: Path
) -> None:
    """As it would with POSIX locks."""
    with builders.forked(sharing(tmp_path / "lock")) as (_, requests, answers):
        assert answers.readline() == "shared\n"
        assert locks.try_share(descriptor)
        os.close(os.open(tmp_path / "lock", os.O_RDWR))
        assert ask(requests, answers, "try") == "refused"


def test_file_that_may_only_be_read_can_be_shared_but_not_locked_alone(
    descriptor: int, tmp_path: Path
) -> None:
    reader = os.open(tmp_path / "lock", os.O_RDONLY)
    assert locks.try_share(reader)
    assert locks.holders(descriptor) == {os.getpid()}
    with pytest.raises(PermissionError, match="Permission denied") as caught:
        locks.try_exclusive(reader, keep_shared=True)
    assert caught.value.errno == errno.EACCES
    os.close(reader)
