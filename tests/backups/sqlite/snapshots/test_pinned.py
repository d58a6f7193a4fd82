"""A snapshot that keeps a name for a while: for whom, how long, and what is left of it."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backups.disk import files
from backups.exceptions import SnapshotFailedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import sweep, temporary_file
from backups.sqlite.snapshots.pinned import Pin, Pinning, find_pinned
from tests.backups.waiting import until

AT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)
LONG = 3600.0


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    (tmp_path / "tasks.db").write_bytes(b"live")
    return StorePaths.of(tmp_path / "tasks.db")


def pin(paths: StorePaths, *, seconds: float = LONG, most: int = 2) -> Pin:
    """Pin a snapshot of ten bytes for ann."""
    with temporary_file(paths, "snapshot") as file:
        files.write_all(file.descriptor, b"0123456789")
        pinned = Pinning("ann", seconds, most).pin(paths, file.path, file.descriptor, AT)
    assert pinned is not None
    return pinned


@pytest.fixture
def pinned(paths: StorePaths) -> Iterator[Pin]:
    one = pin(paths)
    yield one
    one.release()


def test_part_is_read_by_whoever_took_it(paths: StorePaths, pinned: Pin) -> None:
    part = find_pinned(paths, pinned.id, caller="ann", first=3, last=5)
    assert part is not None
    with part:
        assert (b"".join(part), part.size, part.taken_at) == (b"345", 10, AT)
    assert find_pinned(paths, pinned.id, caller="bob", first=3, last=5) is None
    assert find_pinned(paths, "0" * 32, caller="ann", first=3, last=5) is None


def test_sweep_leaves_what_has_an_owner(paths: StorePaths, pinned: Pin) -> None:
    assert sweep(paths) == []
    assert len(paths.all_pinned()) == 1


def test_name_goes_after_its_time_and_what_is_open_can_be_read_on(paths: StorePaths) -> None:
    one = pin(paths, seconds=0.05)
    part = find_pinned(paths, one.id, caller="ann", first=0, last=None)
    assert part is not None
    with part:
        one.release_later()
        until(lambda: not paths.all_pinned())
        assert b"".join(part) == b"0123456789"


def is_found(paths: StorePaths, pin: Pin) -> bool:
    part = find_pinned(paths, pin.id, caller="ann", first=0, last=None)
    if part is not None:
        part.close()
    return part is not None


def test_oldest_goes_when_there_are_too_many(paths: StorePaths) -> None:
    one, two, three = pin(paths), pin(paths), pin(paths)
    left = [each for each in (one, two, three) if is_found(paths, each)]
    assert left == [two, three]
    for each in (one, two, three):
        each.release()
    assert os.listdir(paths.folder) == ["tasks.db"]


def test_one_without_a_name_keeps_no_file_open(paths: StorePaths) -> None:
    """Or a monitor that downloads every second would take all descriptors, and the disk."""
    pins = []
    for _ in range(10):
        pins.append(pin(paths))
        pins[-1].release_later()
    until(lambda: len(open_pins(paths)) == 2)
    assert [each.is_named() for each in pins[-2:]] == [True, True]
    for each in pins:
        each.release()
    assert open_pins(paths) == []


def open_pins(paths: StorePaths) -> list[str]:
    """What this process has open in the folder, deleted or not."""
    links = []
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{each}"))
    return [link for link in links if link.startswith(str(paths.folder))]


def test_part_of_a_file_that_was_cut_is_an_error(paths: StorePaths, pinned: Pin) -> None:
    part = find_pinned(paths, pinned.id, caller="ann", first=3, last=None)
    assert part is not None
    os.truncate(paths.all_pinned()[0], 5)
    with part, pytest.raises(SnapshotFailedError, match="ends after 5 bytes"):
        list(part)


def test_nothing_is_kept_when_the_disk_is_nearly_full(
    paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = pin(paths)
    monkeypatch.setattr(files, "free_bytes", lambda folder: 9)
    one.release_later()
    assert os.listdir(paths.folder) == ["tasks.db"]


def test_file_system_without_links_has_none(
    paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(files, "link", refuse)
    with temporary_file(paths, "snapshot") as file:
        assert Pinning("ann", LONG, 2).pin(paths, file.path, file.descriptor, AT) is None
    assert os.listdir(paths.folder) == ["tasks.db"]
