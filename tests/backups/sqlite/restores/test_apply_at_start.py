"""Applying: the pending restore takes the live database's place, and nothing is lost."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.sqlite.format import readable
from backups.store import Receipt
from tests.backups import builders
from tests.backups.sqlite.kept.test_settle import COMMANDS, shell
from tests.backups.stand_ins import (
    FakeSite,
    Steps,
    counted,
    refuse_with,
    without_hard_links,
)
from tests.backups.stores import Store, insert, new_snapshot, new_store, raw_sets

READABLE: dict[str, Callable[[Path], object]] = {
    "DELETE mode": lambda path: builders.healthy(path, "old"),
    "WAL mode": lambda path: builders.healthy(path, "old", journal_mode="wal"),
    "hot WAL": lambda path: builders.hot_wal(path, "old"),
    "hot journal": lambda path: builders.hot_journal(path, "old"),
    "persistent journal": lambda path: builders.persistent_journal(path, "old"),
    "other page size": lambda path: builders.healthy(path, "old", page_size=16384),
}
UNREADABLE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "orphan WAL": lambda path: builders.orphan_wal(path, "old"),
    "zero bytes": builders.empty,
    "text": builders.text,
    "ruined": builders.ruined,
}


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """To wait for another program's lock is not what these tests are about."""
    with mock.patch.object(readable, "BUSY_SECONDS", 0.05):
        yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with 'new' pending and no live database yet."""
    store = new_store(tmp_path)
    store.stage(new_snapshot(tmp_path))
    return store


def start(store: Store) -> Receipt:
    """Start, when something is pending."""
    receipt = store.start()
    assert receipt is not None
    return receipt


def check_blocked(store: Store, receipt: Receipt, before: dict[str, bytes], reason: str) -> None:
    """Everything is as it was, and there is one receipt more."""
    assert receipt.outcome == "blocked"
    assert reason in receipt.reason
    sidecars = {path.name for path in store.paths.sidecars}
    assert (store.listing() ^ set(before)) - sidecars <= {store.paths.receipts.name}
    assert store.paths.pending.read_bytes() == before[store.paths.pending.name]
    assert store.database.read_bytes()[18:20] == before["tasks.db"][18:20], "journal mode"
    assert store.items() == ["old"]


# What becomes live, and what is kept


@pytest.mark.parametrize("state", READABLE)
def test_old_database_is_kept_whole_and_the_new_one_is_alone(state: str, store: Store) -> None:
    READABLE[state](store.database)
    receipt = start(store)
    assert (receipt.outcome, receipt.reason) == ("applied", "")
    (kept,) = store.kept()
    assert store.listing() == {"tasks.db", kept.name, store.paths.receipts.name}
    assert receipt.kept == kept.name
    assert builders.names(kept) == ["old"]
    assert store.items() == ["new"]
    assert os.stat(store.database).st_nlink == os.stat(kept).st_nlink == 1


@pytest.mark.parametrize("state", UNREADABLE)
def test_what_sqlite_cannot_read_is_kept_byte_for_byte(state: str, store: Store) -> None:
    staged = store.folder()
    UNREADABLE[state](store.database)
    before = {name: content for name, content in store.folder().items() if name not in staged}
    receipt = start(store)
    assert receipt.outcome == "applied"
    assert store.items() == ["new"]
    names = {kept.name for kept in store.kept()}
    assert store.listing() == {"tasks.db", store.paths.receipts.name, *names}
    if any(before.values()):
        (raw,) = raw_sets(store.kept())
        assert {name: raw[name] for name in before} == before
        assert names == {receipt.kept}
    else:
        assert (names, receipt.kept) == (set(), None)


@pytest.mark.parametrize("page_size", [512, 65536])
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_snapshot_of_any_page_size_and_journal_mode_becomes_live(
    page_size: int, journal_mode: str, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "old")
    snapshot = builders.healthy(
        tmp_path / "snapshot.db", "new", page_size=page_size, journal_mode=journal_mode
    )
    store.stage(snapshot)
    assert start(store).outcome == "applied"
    assert store.database.read_bytes()[100:] == snapshot.read_bytes()[100:]
    assert builders.journal_mode(store.database) == "wal", "as the live one was"
    assert store.items() == ["new"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_journal_mode_of_the_live_database_is_kept_by_restore_and_undo(
    mode: str, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode=mode)
    store.stage(builders.healthy(tmp_path / "new.db", "new", journal_mode="wal"))
    assert start(store).outcome == "applied"
    assert builders.journal_mode(store.database) == mode
    store.real.stage_kept_copy(staged_by="tester")
    assert start(store).outcome == "applied"
    assert (store.items(), builders.journal_mode(store.database)) == (["old"], mode)


@pytest.mark.parametrize("state", ["orphan WAL", "ruined"])
def test_database_of_which_only_the_wal_is_left_was_in_wal_mode(state: str, store: Store) -> None:
    UNREADABLE[state](store.database)
    assert start(store).outcome == "applied"
    assert (store.items(), builders.journal_mode(store.database)) == (["new"], "wal")


def test_symbolic_link_stays_and_everything_happens_beside_the_real_file(tmp_path: Path) -> None:
    volume = new_store(tmp_path)
    builders.hot_wal(volume.database, "old")
    link = tmp_path / "link.db"
    link.symlink_to(volume.database)
    store = Store(link)
    store.stage(new_snapshot(tmp_path))
    assert start(store).outcome == "applied"
    assert link.is_symlink()
    assert store.items() == ["new"]
    assert [builders.names(kept) for kept in volume.kept()] == [["old"]]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "link.db", "snapshot.db"}


def test_mode_owner_and_attributes_of_the_old_database_are_kept(store: Store) -> None:
    builders.healthy(store.database, "old")
    store.database.chmod(0o664)
    os.setxattr(store.database, "user.label", b"kept")
    owner = os.stat(store.database)
    if os.geteuid() == 0:
        os.chown(store.database, 4321, 1234)
        owner = os.stat(store.database)
    assert start(store).outcome == "applied"
    now = os.stat(store.database)
    assert (now.st_mode, now.st_uid, now.st_gid) == (owner.st_mode, owner.st_uid, owner.st_gid)
    assert os.getxattr(store.database, "user.label") == b"kept"


def test_restore_that_must_not_be_given_to_the_old_owner_is_blocked(store: Store) -> None:
    """Of another user's database; the server could not open what we put in its place."""
    builders.healthy(store.database, "old", journal_mode="wal")
    before = store.folder()
    refused = PermissionError(errno.EPERM, "Operation not permitted", str(store.paths.pending))
    with mock.patch.object(files, "copy_attributes", side_effect=refused):
        check_blocked(store, start(store), before, "Operation not permitted")


def test_where_there_are_no_hard_links_the_old_database_is_copied(store: Store) -> None:
    builders.hot_wal(store.database, "old")
    with without_hard_links():
        assert start(store).outcome == "applied"
    assert store.items() == ["new"]
    assert [builders.names(kept) for kept in store.kept()] == [["old"]]
    assert not store.temporaries()


def test_two_restores_of_the_same_second_keep_both_databases(store: Store, tmp_path: Path) -> None:
    builders.healthy(store.database, "old")
    receipts = [start(store)]
    for number in range(2):
        store.stage(builders.healthy(tmp_path / f"{number}.db", f"newer {number}"))
        receipts.append(start(store))
    kept = [builders.names(store.paths.folder / str(receipt.kept)) for receipt in receipts]
    assert kept == [["old"], ["new"], ["newer 0"]]
    assert store.items() == ["newer 1"]


def test_nothing_pending_is_a_noop(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "row")
    before = store.folder()
    assert store.start() is None
    assert store.folder() == before


def test_store_goes_on_after_a_restore(store: Store) -> None:
    builders.healthy(store.database, "old")
    start(store)
    insert(store.database, "after")
    assert store.start() is None
    assert store.items() == ["new", "after"]
    assert store.outcomes() == ["staged", "applied"]


# Receipts


def test_receipt_tells_what_was_applied_by_whom_and_what_was_kept(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old")
    staged = store.stage(new_snapshot(tmp_path), staged_by="alice")
    receipt = start(store)
    assert store.real.get_status().last == receipt
    assert (receipt.size, receipt.sha256) == (staged.size, staged.sha256)
    assert (receipt.staged_by, receipt.staged_at) == ("alice", staged.staged_at)
    assert receipt.at >= staged.staged_at
    assert receipt.migrations == ()
    assert receipt.seconds > 0


# Refused: set aside, once


def check_refused(store: Store, receipt: Receipt, before: dict[str, bytes], reason: str) -> Path:
    """The live database is untouched, and the snapshot is set aside. Returns where."""
    assert receipt.outcome == "refused"
    assert reason in receipt.reason
    (refused,) = (path for path in store.refused() if not path.name.endswith(("-wal", "-shm")))
    assert receipt.kept == refused.name
    live_files = {"tasks.db", *(sidecar.name for sidecar in store.paths.sidecars)}
    after = store.folder()
    for name in live_files:
        assert after.get(name) == before.get(name), name
    assert not store.paths.pending.exists()
    assert not store.paths.manifests()
    assert not store.kept()
    assert not store.temporaries()
    assert store.start() is None, "the next start must not try again"
    assert store.items() == ["old"]
    return refused


def test_pending_file_damaged_on_disk_is_refused_and_the_live_one_stays(store: Store) -> None:
    builders.hot_wal(store.database, "old")
    with store.paths.pending.open("r+b") as pending:
        pending.seek(5000)
        pending.write(b"\xff")
    before = store.folder()
    refused = check_refused(store, start(store), before, "is not the file that was staged")
    assert refused.read_bytes() == before[store.paths.pending.name]


@pytest.mark.parametrize("how", ["cut off", "without a manifest", "with a broken manifest"])
def test_pending_file_that_was_not_staged_like_this_is_refused(how: str, store: Store) -> None:
    builders.hot_wal(store.database, "old")
    (manifest,) = store.paths.manifests()
    if how == "cut off":
        os.truncate(store.paths.pending, 4096)
    elif how == "without a manifest":
        manifest.unlink()
    else:
        manifest.write_text("{}")
    before = store.folder()
    check_refused(store, start(store), before, "is not the file that was staged")


def test_pending_file_that_a_program_wrote_to_is_refused_with_its_wal(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))

    def write() -> sqlite3.Connection:
        connection = sqlite3.connect(store.paths.pending)
        connection.execute("PRAGMA journal_mode=WAL")
        builders.add(connection, "by hand")
        return connection

    builders.in_killed_process(write)
    builders.healthy(store.database, "old")
    before = store.folder()
    refused = check_refused(store, start(store), before, "was opened by a program")
    assert builders.names(refused) == ["new", "by hand"], "its WAL is beside it"
    assert store.listing() == {"tasks.db", store.paths.receipts.name, refused.name}


def test_two_refused_in_the_same_second_are_both_set_aside(store: Store, tmp_path: Path) -> None:
    builders.healthy(store.database, "old")
    for number in range(3):
        store.stage(builders.healthy(tmp_path / f"{number}.db", "x"))
        store.paths.manifests()[0].unlink()
        assert start(store).outcome == "refused"
    assert len(store.refused()) == 3


def test_snapshot_that_is_newer_than_the_code_by_now_is_refused(
    store: Store, tmp_path: Path
) -> None:
    """The code was rolled back between staging and this start."""
    builders.hot_wal(store.database, "old")
    before = store.folder()
    with mock.patch.object(builders, "MIGRATIONS", builders.MIGRATIONS[:1]):
        check_refused(store, start(store), before, "shop.0002_prices")


def test_set_aside_that_fails_tries_again_at_the_next_start(store: Store) -> None:
    builders.healthy(store.database, "old")
    store.paths.manifests()[0].unlink()
    with mock.patch.object(files, "replace", side_effect=OSError(errno.EIO, "broken")):
        receipt = start(store)
    assert (receipt.outcome, receipt.kept) == ("refused", None)
    assert store.paths.pending.exists()
    assert start(store).kept == store.refused()[0].name


# Blocked: it stays pending


def test_migrated_restore_that_was_blocked_is_not_migrated_again(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    staged = store.stage(builders.older(tmp_path / "older.db", "new"))
    builders.healthy(store.database, "old", journal_mode="wal")
    with shell(store.database, "SELECT * FROM items"):
        assert start(store).outcome == "blocked"
        pending = store.real.get_status().pending
        assert pending is not None
        assert (pending.sha256, pending.migrations) == (staged.sha256, ())
    receipt = start(store)
    assert (receipt.outcome, len(store.site.migrated)) == ("applied", 1)
    assert receipt.migrations == ("shop.0002_prices",)


@pytest.mark.parametrize("commands", COMMANDS.values(), ids=COMMANDS)
def test_another_program_that_has_it_open_in_wal_mode_blocks(
    commands: tuple[str, ...], store: Store
) -> None:
    builders.healthy(store.database, "old", journal_mode="wal")
    before = store.folder()
    with shell(store.database, *commands):
        check_blocked(store, start(store), before, "locked")
    assert start(store).outcome == "applied"
    assert [builders.names(kept) for kept in store.kept()] == [["old"]]


def test_another_program_that_writes_in_rollback_mode_blocks(store: Store) -> None:
    builders.healthy(store.database, "old")
    before = store.folder()
    with shell(store.database, "BEGIN IMMEDIATE", "INSERT INTO items (name) VALUES ('x')"):
        check_blocked(store, start(store), before, "locked")
    assert start(store).outcome == "applied"


def test_program_that_idles_in_rollback_mode_writes_nothing_into_nowhere(store: Store) -> None:
    """It holds no lock, so it can't block; SQLite tells it at its next write."""
    builders.healthy(store.database, "old")
    with closing(sqlite3.connect(store.database)) as other:
        other.execute("SELECT * FROM items").fetchall()
        assert start(store).outcome == "applied"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            other.execute("INSERT INTO items (name) VALUES ('accepted and lost')")


def test_lock_file_that_cannot_be_written_blocks_but_presence_is_held(store: Store) -> None:
    """It is another user's, and may only be read: others must not think us away."""
    builders.healthy(store.database, "old")
    store.paths.lock.touch()
    before = store.folder()
    system_open = os.open

    def not_ours(path: object, flags: int, *mode: int) -> int:
        if path == store.paths.lock and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return system_open(path, flags, *mode)  # type: ignore[arg-type]

    real = store.real
    with mock.patch("os.open", not_ours):
        receipt = real.apply_pending_restore()
    try:
        assert receipt is not None
        assert (receipt.outcome, store.folder()) == ("blocked", before)
        assert str(store.paths.lock) in receipt.reason
        with builders.forked(lambda _, answers: print(_alone(store), file=answers)) as (_, _, said):
            assert said.readline() == "blocked\n"
    finally:
        real.release_presence()
    assert start(store).outcome == "applied"


def _alone(store: Store) -> str:
    receipt = store.start()
    return receipt.outcome if receipt else "nothing pending"


def test_rename_that_cannot_be_synced_is_told_and_stands(store: Store) -> None:
    builders.healthy(store.database, "old")
    replaced = False
    sync_folder, replace = files.sync_folder, files.replace

    def note(source: Path, destination: Path) -> None:
        nonlocal replaced
        replace(source, destination)
        replaced = replaced or destination == store.database

    def sync(folder: Path) -> None:
        if replaced:
            raise OSError(errno.EIO, "Input/output error")
        sync_folder(folder)

    with mock.patch.object(files, "replace", note), mock.patch.object(files, "sync_folder", sync):
        receipt = start(store)
    assert receipt.outcome == "applied"
    assert "could not be synced: Input/output error" in receipt.reason
    assert store.items() == ["new"]


def test_database_whose_owner_can_t_be_given_is_not_replaced_and_the_receipt_says_who_can(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    READABLE["hot WAL"](store.database)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(files, "copy_attributes", refuse)
    receipt = start(store)
    assert (receipt.outcome, store.items()) == ("blocked", ["old"])
    assert f"can't be given the owner and the mode of {store.database}" in receipt.reason
    assert "The owner of the database, or root, can apply it." in receipt.reason


# An error at any step

ERRORS = {"hot WAL", "persistent journal", "DELETE mode", "ruined", "orphan WAL", "missing"}


@pytest.mark.proof
@pytest.mark.parametrize(
    ("links", "code"), [(True, errno.EACCES), (True, errno.ENOSPC), (False, errno.EIO)]
)
@pytest.mark.parametrize("state", sorted(ERRORS))
def test_error_at_any_step_leaves_the_old_database_or_the_new_one(
    state: str, links: bool, code: int, store: Store
) -> None:
    (READABLE | UNREADABLE)[state](store.database)
    points = _fail_at_each_step(store, state, links, code)
    assert points >= (20 if state in READABLE else 9)


@pytest.mark.proof
def test_error_at_any_step_of_a_migration_leaves_the_old_database_or_the_new_one(
    tmp_path: Path,
) -> None:
    store = new_store(tmp_path)
    store.stage(builders.older(tmp_path / "older.db", "new"))
    builders.hot_wal(store.database, "old")
    assert _fail_at_each_step(store, "hot WAL", True, errno.ENOSPC, stride=2) >= 40


def _fail_at_each_step(
    template: Store, state: str, links: bool, code: int, *, stride: int = 1
) -> int:
    before = template.folder()
    for number in range(1, 200, stride):
        folder = template.paths.folder.with_name("failing")
        shutil.copytree(template.paths.folder, folder)
        store = Store(folder / "tasks.db")
        steps = Steps(refuse_with(code), at=number, from_then_on=code == errno.ENOSPC)
        with counted(steps), mock.patch.object(files, "link", files.link if links else _no_link):
            receipt = start(store)
        what = (number, steps.failed, receipt.reason)
        _check_after_an_error(store, state, receipt, before, steps, what)
        shutil.rmtree(folder)
        if not steps.failed:
            assert receipt.outcome == "applied"
            return number - 1
    raise AssertionError


def _check_after_an_error(
    store: Store,
    state: str,
    receipt: Receipt,
    before: dict[str, bytes],
    steps: Steps,
    what: object,
) -> None:
    """Then a start without any error applies it, and everything of the old one is kept."""
    if receipt.outcome == "applied":
        assert store.items() == ["new"], what
        assert not store.paths.pending.exists(), what
    else:
        assert receipt.outcome == "blocked", what
        assert receipt.reason.strip(". "), what
        assert store.paths.manifest(files.sha256(store.paths.pending)).exists(), what
        assert not store.paths.database.exists() or os.stat(store.database).st_nlink == 1, what
        if "unlink" not in steps.failed:
            assert not store.temporaries(), what
            assert not store.kept(), what
        if state in READABLE:
            copy = store.paths.folder.with_name("copy")
            shutil.copytree(store.paths.folder, copy)
            assert builders.names(copy / "tasks.db") == ["old"], what
            shutil.rmtree(copy)
            assert store.database.read_bytes()[18:20] == before["tasks.db"][18:20], what

    store.start()
    assert store.items() == ["new"], what
    assert not store.temporaries(), what
    assert not store.paths.manifests(), what
    assert not store.paths.pending.exists(), what
    if state in READABLE:
        assert ["old"] in [builders.names(kept) for kept in store.kept()], what
    else:
        raw = raw_sets(store.kept())
        for path in (store.database, store.paths.sidecars[0]):
            if content := before.get(path.name):
                assert content in [files_.get(path.name) for files_ in raw], what


def _no_link(source: Path, destination: Path) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_error_that_nobody_foresaw_leaves_the_lock_shared(store: Store) -> None:
    """A bug of a migration's author, say: it is raised, and the process is present all the same."""
    builders.healthy(store.database, "old")
    real = store.real
    with (
        mock.patch.object(FakeSite, "plan", side_effect=ZeroDivisionError),
        pytest.raises(ZeroDivisionError),
    ):
        real.apply_pending_restore()
    try:
        with builders.forked(lambda _, answers: print(_alone(store), file=answers)) as (_, _, said):
            assert said.readline() == "blocked\n"
    finally:
        real.release_presence()
