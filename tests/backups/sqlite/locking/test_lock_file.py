"""The lock file: who may open it, and which file it is."""

import os
from pathlib import Path
from typing import IO
from unittest import mock

import pytest

from backups.sqlite.locking.presence import Presence
from tests.backups import builders


@pytest.mark.parametrize(
    ("database", "lock"),
    [
        (0o600, 0o600),
        (0o644, 0o600),
        (0o750, 0o600),
        (0o660, 0o660),
        (0o664, 0o660),
        (0o666, 0o666),
    ],
)
def test_lock_file_is_for_those_who_may_write_the_database(
    database: int, lock: int, tmp_path: Path
) -> None:
    (tmp_path / "tasks.db").touch()
    (tmp_path / "tasks.db").chmod(database)
    for left in (None, 0o644, 0o666):  # by an earlier release
        if left is not None:
            (tmp_path / "lock").chmod(left)
        presence = Presence(tmp_path / "lock", owner_of=tmp_path / "tasks.db")
        presence.join()
        now = (tmp_path / "lock").stat().st_mode & 0o777
        assert now == lock
        presence.leave()


def test_lock_file_is_not_opened_through_a_symbolic_link(tmp_path: Path) -> None:
    """In a folder where others write, it would lead root's command to any file."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Presence(tmp_path / "lock").join()
    assert not (tmp_path / "elsewhere").exists()


def test_lock_file_that_was_replaced_meanwhile_is_opened_again(
    lock: Path, presence: Presence
) -> None:
    system_open = os.open
    opened: list[int] = []

    def open_and_lose(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = system_open(path, flags, mode)
        opened.append(descriptor)
        if len(opened) == 2:  # the first one found no file, and the second made it
            lock.unlink()
        return descriptor

    lock.touch()
    opened.append(0)
    with mock.patch("os.open", open_and_lose):
        presence.join()
    other = Presence(lock)
    assert not other.try_alone()


def test_process_without_standard_streams_keeps_its_hold_out_of_their_place(
    lock: Path, presence: Presence
) -> None:
    def work(requests: IO[str], answers: IO[str]) -> None:
        os.closerange(0, 3)
        own = Presence(lock)
        own.join()
        for stream in range(3):  # as a daemon does
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        os.write(1, b"what a library prints")
        print("present", file=answers)
        requests.readline()

    with builders.forked(work) as (pid, _, answers):
        assert answers.readline() == "present\n"
        presence.join()
        assert [holder.pid for holder in presence.others()] == [pid]
        assert lock.read_bytes() == b""
