"""Locks with a name, and which of them keep a start from being alone."""

import threading
from pathlib import Path

import pytest

from backups.exceptions import BusyError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.locking.named_locks import named_lock
from backups.sqlite.locking.presence import Presence


@pytest.mark.parametrize("outside", [False, True])
def test_two_can_not_hold_it(lock: Path, *, outside: bool) -> None:
    paths = StorePaths(lock.with_suffix(""))
    with (
        named_lock(paths, "work", wait=False, outside=outside),
        named_lock(paths, "other work", wait=False, outside=outside),
        named_lock(paths, "work", wait=False, outside=not outside),
        pytest.raises(BusyError, match="at the same work"),
        named_lock(paths, "work", wait=False, outside=outside),
    ):
        pass


def test_one_that_waits_gets_it(lock: Path) -> None:
    paths, got = StorePaths(lock.with_suffix("")), threading.Event()

    def wait() -> None:
        with named_lock(paths, "work", wait=True, outside=True):
            got.set()

    thread = threading.Thread(target=wait)
    with named_lock(paths, "work", wait=False, outside=True):
        thread.start()
        assert not got.is_set()
    thread.join()
    assert got.is_set()


@pytest.mark.parametrize("outside", [False, True])
def test_only_one_from_outside_lets_a_start_be_alone(lock: Path, *, outside: bool) -> None:
    paths, presence = StorePaths(lock.with_suffix("")), Presence(lock)
    with named_lock(paths, "work", wait=False, outside=outside):
        assert presence.try_alone() == outside
        presence.leave()
    assert presence.try_alone()
    presence.share()
    presence.leave()


def test_one_from_outside_can_be_had_while_a_start_is_alone(lock: Path) -> None:
    paths, presence = StorePaths(lock.with_suffix("")), Presence(lock)
    assert presence.try_alone()
    with named_lock(paths, "work", wait=False, outside=True):
        presence.share()  # which leaves it alone, too
        with pytest.raises(BusyError), named_lock(paths, "work", wait=False, outside=True):
            pass
    presence.leave()
