"""Whatever the folder's defaults are, no copy of a database may be opened by more users than it."""

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backups.disk.attributes import ACL
from tests.backups import builders
from tests.backups.stores import Store
from tests.backups.strangers import IS_ROOT, NOBODY, open_folder

DEFAULT_ACL = "system.posix_acl_default"
# acl(5): who, what they may do, and which user or group; as the kernel stores it.
USER_OBJECT, USER, GROUP_OBJECT, MASK, OTHER, NO_ID = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF
GROUP = 1234 if IS_ROOT else os.getegid()


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


LETS_NOBODY_IN = acl(
    (USER_OBJECT, 7, NO_ID),
    (USER, 7, NOBODY),
    (GROUP_OBJECT, 7, NO_ID),
    (MASK, 7, NO_ID),
    (OTHER, 7, NO_ID),
)


def in_plain_folder(store: Store) -> None:
    """As it is."""


def in_folder_with_default_acl(store: Store) -> None:
    """Which lets another user in."""
    os.setxattr(store.paths.folder, DEFAULT_ACL, LETS_NOBODY_IN)


def in_folder_of_another_group(store: Store) -> None:
    """Which each new file belongs to."""
    if IS_ROOT:
        os.chown(store.paths.folder, -1, GROUP + 1)
        store.paths.folder.chmod(0o2777)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("prepare", "mode", "umask"),
    [
        (in_plain_folder, 0o600, 0o000),
        (in_plain_folder, 0o644, 0o022),
        (in_folder_with_default_acl, 0o640, 0o000),
        (in_folder_with_default_acl, 0o660, 0o077),
        (in_folder_of_another_group, 0o640, 0o077),
        (in_folder_of_another_group, 0o660, 0o000),
    ],
)
def test_no_file_beside_the_database_is_more_open_than_it(
    prepare: Callable[[Store], None], mode: int, umask: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        with open_folder(0o777) as folder:
            store = Store(folder / "tasks.db")
            builders.healthy(store.database, "old")
            os.chown(store.database, -1, GROUP)
            store.database.chmod(mode)
            prepare(store)
            for step in (snapshot, stage, apply_now, stage_older, start):
                step(store, tmp_path)
                check_modes(store, mode)
            assert {"tasks.db.lock", "tasks.db.restore-receipts.jsonl"} < set(os.listdir(folder))
            assert len(store.kept()) == 2
    finally:
        os.umask(before)


def snapshot(store: Store, tmp_path: Path) -> None:
    """One whose rest can be asked for."""
    pinning = replace(store, snapshot_limits=replace(store.snapshot_limits, resume_seconds=60.0))
    with pinning.real.create_snapshot(compact=True, caller="ann") as taken:
        b"".join(taken)


def stage(store: Store, tmp_path: Path) -> None:
    store.stage(builders.healthy(tmp_path / "new.db", "new"))


def apply_now(store: Store, tmp_path: Path) -> None:
    assert store.apply_now().outcome == "applied"


def stage_older(store: Store, tmp_path: Path) -> None:
    store.stage(builders.older(tmp_path / "older.db", "older"))


def start(store: Store, tmp_path: Path) -> None:
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"


def check_modes(store: Store, mode: int) -> None:
    """Who may open what is there: those who may open the database, at most."""
    for path in store.paths.folder.iterdir():
        status = path.stat()
        assert not status.st_mode & ~mode & 0o777, (path.name, oct(status.st_mode))
        if status.st_mode & 0o070:
            assert status.st_gid == GROUP, path.name
            assert ACL not in os.listxattr(path), path.name
    assert store.database.stat().st_mode & 0o777 == mode


def test_acl_of_the_database_is_that_of_what_takes_its_place(tmp_path: Path) -> None:
    with open_folder() as folder:
        store = Store(folder / "tasks.db")
        builders.healthy(store.database, "old")
        store.database.chmod(0o600)
        lets_in = acl(
            (USER_OBJECT, 6, NO_ID),
            (USER, 4, NOBODY),
            (GROUP_OBJECT, 0, NO_ID),
            (MASK, 4, NO_ID),
            (OTHER, 0, NO_ID),
        )
        os.setxattr(store.database, ACL, lets_in)
        store.stage(builders.healthy(tmp_path / "new.db", "new"))
        assert store.start() is not None
        assert store.items() == ["new"]
        assert os.getxattr(store.database, ACL) == lets_in
        assert [os.getxattr(kept, ACL) for kept in store.kept()] == [lets_in]


def test_missing_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    with open_folder(0o777) as folder:
        os.setxattr(folder, DEFAULT_ACL, LETS_NOBODY_IN)
        store = Store(folder / "tasks.db")
        store.stage(builders.healthy(tmp_path / "new.db", "new"))
        assert store.start() is not None
        assert {
            path.name: path.stat().st_mode & 0o177 for path in folder.iterdir()
        } == dict.fromkeys(os.listdir(folder), 0)


def test_raw_copies_that_root_makes_belong_to_the_owner_of_the_database() -> None:
    owner = NOBODY if IS_ROOT else os.geteuid()
    with open_folder(0o777) as folder:
        store = Store(folder / "tasks.db")
        builders.ruined(store.database)
        os.chown(store.database, owner, -1)
        store.stage(builders.healthy(folder / "new.db", "new"))
        assert store.start() is not None
        (kept,) = store.kept()
        assert kept.is_dir()
        assert {path.stat().st_uid for path in (kept, *kept.iterdir(), store.database)} == {owner}
