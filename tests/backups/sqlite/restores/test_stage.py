"""Staging: an upload becomes the pending restore as a whole, or nothing has changed."""

import errno
import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from backups import exceptions
from backups.disk import files
from backups.processes import spawn
from backups.sqlite.records.manifest import Manifest, find_manifest
from backups.sqlite.records.sent_snapshots import record_sent
from tests.backups import builders
from tests.backups.sqlite.checking.test_check import BAD
from tests.backups.stand_ins import FakeSite, Steps, counted, refuse_with
from tests.backups.stores import MAX_BYTES, Store, chunks, new_snapshot, new_store


def check_pair(store: Store) -> Manifest:
    """The pending file and its manifest, which must be one, and match."""
    sha256 = files.sha256(store.paths.pending)
    assert store.paths.manifests() == [store.paths.manifest(sha256)]
    manifest = Manifest.read(store.paths.manifest(sha256))
    assert manifest is not None
    assert (manifest.sha256, manifest.size) == (sha256, store.paths.pending.stat().st_size)
    return manifest


def test_staged_restore_is_pending_byte_for_byte(store: Store, snapshot: Path) -> None:
    before = datetime.now(UTC)
    pending = store.stage(snapshot, staged_by="alice")
    assert store.paths.pending.read_bytes() == snapshot.read_bytes()
    assert store.paths.pending.stat().st_mode & 0o777 == 0o600
    assert pending.size == snapshot.stat().st_size
    assert pending.sha256 == hashlib.sha256(snapshot.read_bytes()).hexdigest()
    assert before <= pending.staged_at <= datetime.now(UTC)
    assert (pending.staged_by, pending.migrations) == ("alice", ())
    assert check_pair(store).staged_at == pending.staged_at
    assert store.real.get_status().pending == pending


def test_staging_leaves_the_live_database_untouched(store: Store, snapshot: Path) -> None:
    before = store.folder()
    store.stage(snapshot)
    after = store.folder()
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 3  # the file, its manifest, the receipts


def test_pending_restore_tells_which_migrations_will_run(store: Store, tmp_path: Path) -> None:
    pending = store.stage(builders.older(tmp_path / "older.db", "row"))
    assert pending.migrations == ("shop.0002_prices",)


def test_what_the_live_database_knows_is_kept_for_the_next_start(
    store: Store, tmp_path: Path
) -> None:
    store.site = FakeSite(live=frozenset({"shop.0003_from_the_future", "other.0001"}))
    store.stage(builders.newer(tmp_path / "newer.db"))
    assert check_pair(store).historic == ("shop.0003_from_the_future",)


@pytest.mark.parametrize("build", BAD, ids=lambda build: build.__name__)
@pytest.mark.parametrize("is_pending", [False, True], ids=["nothing pending", "one pending"])
def test_refused_upload_changes_nothing(
    build: Callable[[Path], Path], is_pending: bool, store: Store, snapshot: Path, tmp_path: Path
) -> None:
    if is_pending:
        store.stage(snapshot)
    before = store.folder()
    bad = build(tmp_path / "bad.db")
    with pytest.raises(BAD[build][0]):
        store.stage(bad)
    after = store.folder()
    for content in (before, after):  # any reader of the live database may write to its index
        content.pop("tasks.db-shm")
    assert after == before


@pytest.mark.proof
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("pending", ["nothing", "another", "the same"])
def test_error_at_any_step_changes_nothing_or_stages_whole(
    code: int, pending: str, store: Store, snapshot: Path, tmp_path: Path
) -> None:
    """Each step fails once; those that take space go on failing, as on a full disk."""
    if pending == "another":
        store.stage(builders.healthy(tmp_path / "another.db", "another"))
    elif pending == "the same":
        store.stage(snapshot)
    before = store.folder()
    full = code == errno.ENOSPC
    wanted = exceptions.NotEnoughSpaceError if full else exceptions.StoreFolderError
    content = chunks(snapshot.read_bytes(), 16 * 1024)

    for number in range(1, 100):
        with counted(Steps(refuse_with(code), at=number, from_then_on=full)) as steps:
            try:
                store.stage_chunks(content)
                failed = False
            except wanted:
                failed = True
        if not steps.failed:
            break
        store.real.sweep()  # only for a step that failed in removing a temporary file
        after = store.folder()
        if after.get(store.paths.pending.name) == snapshot.read_bytes():
            found = find_manifest(store.paths)
            assert found is not None
            assert found.sha256 == files.sha256(store.paths.pending), (number, steps.failed)
        else:
            assert failed
            assert after == before, (number, steps.failed)
        for name in set(after) - set(before):
            os.unlink(store.paths.folder / name)
        for name, old in before.items():
            (store.paths.folder / name).write_bytes(old)
    assert number > 12
    assert not steps.failed


@pytest.mark.proof
def test_concurrent_stagings_of_threads_end_with_one_matching_pair(
    store: Store, tmp_path: Path
) -> None:
    uploads = [builders.healthy(tmp_path / f"{n}.db", *"x" * n) for n in range(1, 5)]
    together = threading.Barrier(len(uploads))
    errors: list[BaseException] = []

    def stage(upload: Path) -> None:
        try:
            together.wait()
            for _ in range(3):
                store.stage(upload, staged_by=upload.name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=stage, args=[upload]) for upload in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    manifest = check_pair(store)
    assert store.paths.pending.read_bytes() == (tmp_path / manifest.staged_by).read_bytes()
    assert not store.temporaries()


@pytest.mark.proof
def test_concurrent_stagings_of_processes_end_with_one_matching_pair(
    store: Store, tmp_path: Path
) -> None:
    uploads = [builders.healthy(tmp_path / f"{n}.db", *"x" * n) for n in (1, 2)]

    def stage(upload: Path) -> Callable[[IO[str], IO[str]], None]:
        def work(requests: IO[str], answers: IO[str]) -> None:
            requests.readline()
            for _ in range(5):
                store.stage(upload, staged_by=upload.name)
            print("done", file=answers)

        return work

    with (
        builders.forked(stage(uploads[0])) as (_, start, first),
        builders.forked(stage(uploads[1])) as (_, start_too, second),
    ):
        print("go", file=start)
        print("go", file=start_too)
        assert (first.readline(), second.readline()) == ("done\n", "done\n")
    manifest = check_pair(store)
    assert store.paths.pending.read_bytes() == (tmp_path / manifest.staged_by).read_bytes()


# Sessions, accounts, programs


def test_sessions_are_gone_from_the_pending_file_and_the_upload_keeps_its_hash(
    store: Store, tmp_path: Path
) -> None:
    upload = builders.with_sessions(tmp_path / "upload.db", "secret")
    pending = store.stage(upload)
    assert (pending.size, pending.sha256) == (upload.stat().st_size, files.sha256(upload))
    manifest = check_pair(store)
    assert manifest.sha256 != manifest.snapshot_sha256 == pending.sha256
    assert b"secret" not in store.paths.pending.read_bytes()
    receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.sha256) == ("applied", pending.sha256)
    assert store.items() == ["row"]


def test_sessions_stay_where_the_release_clears_none(store: Store, tmp_path: Path) -> None:
    store.site.sessions = ()
    upload = builders.with_sessions(tmp_path / "upload.db", "kept")
    store.stage(upload)
    assert store.paths.pending.read_bytes() == upload.read_bytes()


def test_account_that_is_not_in_the_snapshot_is_a_warning_that_stays(
    store: Store, snapshot: Path
) -> None:
    content = snapshot.read_bytes()
    pending = store.real.stage_restore(
        [content], staged_by="ann", max_bytes=len(content), account="ann"
    )
    assert len(pending.warnings) == 1
    assert "The account ann is not in the snapshot" in pending.warnings[0]
    assert store.real.get_status().pending == pending
    assert store.stage(snapshot).warnings == ()


@pytest.mark.parametrize(("journal_mode", "is_warned"), [("wal", True), ("delete", False)])
def test_file_in_wal_mode_may_lack_rows_and_says_so(
    store: Store, tmp_path: Path, journal_mode: str, is_warned: bool
) -> None:
    """A main file without its -wal is whole for SQLite. Only its header tells where it is from."""
    copy = builders.healthy(tmp_path / "copy.db", "kept", journal_mode=journal_mode)
    warnings = store.stage(copy).warnings
    assert any("newest rows may be missing" in each for each in warnings) is is_warned
    pending = store.real.get_status().pending
    assert pending is not None
    assert pending.warnings == warnings


def test_snapshot_that_was_sent_gets_the_quick_check_only(store: Store, tmp_path: Path) -> None:
    snapshot = builders.unindexed(tmp_path / "snapshot.db")
    sha256, size = files.sha256(snapshot), snapshot.stat().st_size
    for known_size in (None, size + 1, size):
        if known_size:
            record_sent(store.paths, sha256=sha256, size=known_size)
        if known_size == size:
            assert store.stage(snapshot).sha256 == sha256
        else:
            with pytest.raises(exceptions.DamagedSnapshotError, match="missing from index"):
                store.stage(snapshot)
    check_pair(store)


DEFECTIVE = (
    builders.broken_reference,
    builders.broken_check,
    builders.unknown_function,
    builders.trailing_bytes,
)


@pytest.mark.parametrize("build", BAD, ids=lambda build: build.__name__)
def test_snapshot_that_was_sent_is_still_checked(
    build: Callable[[Path], Path], store: Store, tmp_path: Path
) -> None:
    """
    The list is no proof: the code may be of another release, or the database damaged. But defects
    that were sent are those of the live database.
    """
    snapshot = build(tmp_path / "snapshot.db")
    record_sent(store.paths, sha256=files.sha256(snapshot), size=snapshot.stat().st_size)
    if build in DEFECTIVE:
        (warning,) = store.stage(snapshot).warnings
        assert warning
        return
    error, message = BAD[build]
    with pytest.raises(error, match=message):
        store.stage(snapshot)


def test_program_that_the_live_database_has_not_leaves_nothing_behind(
    store: Store, snapshot: Path
) -> None:
    with closing(sqlite3.connect(snapshot)) as connection:
        connection.execute("CREATE VIEW evil AS SELECT 1")
    store.site.programs = frozenset()
    before = store.folder()
    with pytest.raises(exceptions.UnknownSchemaError, match="evil"):
        store.stage(snapshot)
    assert store.folder() == before
    store.site.programs = None  # the live database can't tell
    assert store.stage(snapshot).warnings == ("not known: 1",)


def test_record_that_cannot_be_written_fails_no_staging(store: Store, snapshot: Path) -> None:
    store.paths.receipts.mkdir()
    staged = store.stage(snapshot)
    assert store.real.get_status().pending == staged
    assert store.real.discard_pending_restore(discarded_by="tester") == staged


def test_staging_does_not_open_the_live_database(tmp_path: Path, snapshot: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "live")
    with closing(sqlite3.connect(store.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")  # whoever opens it now has to wait, and fails
        store.stage(snapshot)
        other.execute("ROLLBACK")


def test_upload_whose_client_left_is_not_staged_and_its_check_ends(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "LOOK_SECONDS", 0.01)
    hostile = builders.endless_to_check(tmp_path / "endless.db")
    store.stage(new_snapshot(tmp_path))
    before = store.folder()
    at_work: list[str] = []

    def leave() -> None:
        at_work.extend(store.temporaries())
        raise exceptions.UploadAbandonedError("The client hung up.")

    with pytest.raises(exceptions.UploadAbandonedError):
        store.real.stage_restore(
            chunks(hostile.read_bytes()), staged_by="x", max_bytes=MAX_BYTES, watch=leave
        )
    assert [name.partition("-")[0] for name in at_work] == ["tasks.db.incoming"]
    assert store.folder() == before


def test_undo_whose_client_left_is_not_staged(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "LOOK_SECONDS", 0.01)
    builders.endless_to_check(store.database)
    store.stage(new_snapshot(tmp_path))
    assert store.start()
    before = store.folder()

    def leave() -> None:
        raise exceptions.UploadAbandonedError("The client hung up.")

    with pytest.raises(exceptions.UploadAbandonedError):
        store.real.stage_kept_copy(staged_by="x", watch=leave)
    assert store.folder() == before
