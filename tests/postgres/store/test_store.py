"""The store on a real server: snapshots, stagings, restores, and what is kept."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backups.exceptions import (
    BackupNotSupportedError,
    BusyError,
    DamagedSnapshotError,
    DatabaseServerError,
    ForeignDatabaseError,
    MissingTablesError,
    NeedsRestartError,
    NewerSnapshotError,
    NoKeptCopyError,
    NoPendingRestoreError,
    NotADatabaseError,
    RestoreBlockedError,
    SnapshotTooLargeError,
    TooManySnapshotsError,
    TooManyUploadsError,
)
from tests.backups.stores import MAX_BYTES
from tests.backups.waiting import until
from tests.postgres.server import Server
from tests.postgres.stores import FakeSite, Store, make_content, new_snapshot, new_store, transfer

pytestmark = pytest.mark.postgres

WAITS = """
SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE NOT granted AND datname = '{}'
"""


@pytest.fixture(scope="module")
def snapshot(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return new_snapshot(postgres, tmp_path_factory.mktemp("snapshot"))


# Snapshots


def test_a_snapshot_knows_its_size_and_what_is_in_it(store: Store) -> None:
    with store.real.create_snapshot(to_store=True) as taken:
        content = b"".join(taken)
    assert content.startswith(b"PGDMP")
    assert (taken.size, taken.method) == (len(content), "dump")
    assert taken.inventory is not None
    assert taken.inventory.rows["accounts"] == 4
    assert taken.inventory.migrations == ("shop.0001_initial", "shop.0002_prices")
    assert abs(taken.taken_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert store.temporaries() == []


def test_a_snapshot_has_no_login_sessions(store: Store, tmp_path: Path) -> None:
    other = new_store(store.server, tmp_path / "other", "other")
    try:
        other.stage(store.snapshot())
        other.start()
        assert other.server.admin("SELECT count(*) FROM sessions", other.database) == [(0,)]
    finally:
        other.drop()


def test_a_snapshot_is_of_one_moment_while_others_write(store: Store) -> None:
    with store.connect() as writer:
        transfer(writer, "not committed", 1, 2, 7)
        content = store.snapshot()
        writer.commit()
    store.stage(content)
    store.start()
    assert store.label() == "old"
    assert "not committed" not in store.notes()
    assert "not committed" in store.notes(store.kept()[0])


def test_no_more_snapshots_than_allowed_are_under_way(store: Store) -> None:
    store.snapshots_at_once = 1
    with store.real.create_snapshot(), pytest.raises(TooManySnapshotsError):
        store.real.create_snapshot()
    store.real.create_snapshot().close()


def test_a_snapshot_of_no_database_is_an_error(store: Store, tmp_path: Path) -> None:
    missing = new_store(store.server, tmp_path / "other")
    with pytest.raises(DatabaseServerError, match=missing.database):
        missing.real.create_snapshot()
    assert missing.real.is_readable() is False
    assert missing.real.has_content() is False
    missing.drop()


# Stage


def test_staging_touches_nothing_that_is_live(store: Store, snapshot: bytes) -> None:
    pending = store.stage(snapshot, staged_by="alice")
    assert pending.size == len(snapshot)
    assert pending.sha256 == hashlib.sha256(snapshot).hexdigest()
    assert pending.staged_by == "alice"
    assert store.label() == "old"
    assert store.label(store.names.pending) == "new"
    assert store.outcomes() == ["staged"]
    assert store.real.get_status().pending == pending
    assert store.temporaries() == []


def test_a_second_staging_takes_the_place_of_the_first(store: Store, snapshot: bytes) -> None:
    store.stage(store.snapshot())
    store.stage(snapshot)
    assert store.label(store.names.pending) == "new"
    assert store.temporaries() == []


def test_what_is_prepared_and_not_staged_leaves_nothing(store: Store, snapshot: bytes) -> None:
    with store.real.prepare_restore(
        iter([snapshot]), staged_by="alice", max_bytes=MAX_BYTES
    ) as prepared:
        assert prepared.rows["accounts"] == 4
        assert prepared.rows["sessions"] == 0
        assert prepared.is_emptied("sessions")
        assert not prepared.is_emptied("accounts")
        assert len(store.temporaries()) == 1
    assert store.temporaries() == []
    assert store.pending() is None


def test_what_is_prepared_can_wait_while_another_restore_is_applied(
    store: Store, snapshot: bytes
) -> None:
    older = store.snapshot()
    with store.real.prepare_restore(
        iter([snapshot]), staged_by="alice", max_bytes=MAX_BYTES
    ) as prepared:
        store.stage(older)
        assert store.start() is not None
        assert prepared.stage(staged_by="bob").staged_by == "bob"
    assert store.label(store.names.pending) == "new"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", NotADatabaseError),
        (b"hello", NotADatabaseError),
        (b"PGDMP", DamagedSnapshotError),
        (b"SQLite format 3\0" + bytes(84), DamagedSnapshotError),
    ],
)
def test_what_is_no_snapshot_is_refused(
    store: Store, content: bytes, error: type[Exception]
) -> None:
    with pytest.raises((error, NotADatabaseError)):
        store.stage(content)
    assert store.pending() is None
    assert store.temporaries() == []


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_part_of_a_dump_is_refused(store: Store, snapshot: bytes, part: float) -> None:
    with pytest.raises(DamagedSnapshotError):
        store.stage(snapshot[: int(len(snapshot) * part)])
    assert store.temporaries() == []
    assert store.outcomes() == []


def test_a_dump_of_another_project_is_refused(store: Store, tmp_path: Path) -> None:
    other = new_store(store.server, tmp_path / "other")
    store.server.admin(f"CREATE DATABASE {other.database} OWNER {store.server.role}")
    with other.connect() as connection:
        connection.execute("CREATE TABLE fruit (id integer)")
    content = other.snapshot()
    other.drop()
    with pytest.raises(ForeignDatabaseError, match="no table django_migrations"):
        store.stage(content)
    assert store.temporaries() == []


def test_a_dump_of_a_newer_release_is_refused(store: Store) -> None:
    with store.connect() as connection:
        connection.execute("INSERT INTO django_migrations (app, name) VALUES ('shop', '0003_x')")
    content = store.snapshot()
    with store.connect() as connection:
        connection.execute("DELETE FROM django_migrations WHERE name = '0003_x'")
    with pytest.raises(NewerSnapshotError, match="0003_x"):
        store.stage(content)


def test_a_dump_without_a_promised_table_is_refused(store: Store, tmp_path: Path) -> None:
    other = new_store(store.server, tmp_path / "other", "new")
    with other.connect() as connection:
        connection.execute("DROP TABLE journal")
    content = other.snapshot()
    other.drop()
    with pytest.raises(MissingTablesError, match="journal"):
        store.stage(content)


def test_what_is_left_out_of_the_judgement_is_left_out_of_the_restore(
    store: Store, tmp_path: Path
) -> None:
    other = new_store(store.server, tmp_path / "other", "new")
    try:
        with other.connect() as connection:
            connection.execute("CREATE PUBLICATION everybodys FOR TABLE accounts")
        content = other.snapshot()
    finally:
        other.drop()
    assert b"CREATE PUBLICATION" in content
    store.stage(content)
    store.start()
    assert store.server.admin("SELECT pubname FROM pg_publication", store.database) == []
    assert store.label() == "new"


def test_an_upload_beyond_the_limit_is_left_unread(store: Store, snapshot: bytes) -> None:
    with pytest.raises(SnapshotTooLargeError):
        store.stage_chunks(iter([snapshot]), max_bytes=len(snapshot) - 1)
    with pytest.raises(SnapshotTooLargeError):
        store.real.stage_restore(iter(()), staged_by="alice", max_bytes=10, at_least=11)
    assert store.temporaries() == []


def test_an_older_snapshot_is_migrated_while_it_is_staged(store: Store, tmp_path: Path) -> None:
    older = new_snapshot(store.server, tmp_path / "older", "older", older=True)
    pending = store.stage(older)
    assert pending.migrations == ()  # none is left for the start
    receipt = store.start()
    assert receipt is not None
    assert receipt.migrations == ("shop.0002_prices",)
    assert store.label() == "older"


def test_a_migration_that_fails_leaves_nothing(store: Store, tmp_path: Path) -> None:
    older = new_snapshot(store.server, tmp_path / "older", "older", older=True)
    store.site.fails = True
    with pytest.raises(Exception, match="migrations failed"):
        store.stage(older)
    assert store.temporaries() == []
    assert store.pending() is None


def test_no_more_uploads_than_allowed_are_under_way(store: Store) -> None:
    store.uploads_at_once = 1
    with store.real.take_upload_turn(), pytest.raises(TooManyUploadsError):
        store.real.take_upload_turn()
    store.real.take_upload_turn().close()


def test_an_extension_that_an_administrator_has_made_is_no_obstacle(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its comment is the administrator's too."""
    store.server.admin("CREATE EXTENSION citext", store.database)
    template = new_store(store.server, tmp_path / "template", "template")
    store.server.admin("CREATE EXTENSION citext", template.database)
    for table in ("prices", "journal", "accounts", "sessions", "django_migrations"):
        store.server.admin(f"DROP TABLE {table}", template.database)
    content = store.snapshot()
    store.template = template.database
    monkeypatch.setattr(FakeSite, "check_dump", lambda *_: ())
    store.stage(content)
    template.drop()
    found = store.server.admin("SELECT extname FROM pg_extension", store.names.pending)
    assert ("citext",) in found


def test_discarding_drops_it(store: Store, snapshot: bytes) -> None:
    pending = store.stage(snapshot)
    assert store.real.discard_pending_restore(discarded_by="bob") == pending
    assert store.pending() is None
    assert store.outcomes() == ["staged", "discarded"]
    assert store.temporaries() == []
    with pytest.raises(NoPendingRestoreError):
        store.real.discard_pending_restore(discarded_by="bob")


# Apply


def test_a_start_puts_it_in_place_and_keeps_what_was_live(store: Store, snapshot: bytes) -> None:
    store.stage(snapshot, staged_by="alice")
    receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.staged_by, receipt.by) == ("applied", "alice", None)
    assert receipt.kept == store.kept()[0]
    assert store.label() == "new"
    assert store.label(receipt.kept) == "old"
    assert store.outcomes() == ["staged", "applied"]
    assert store.real.get_status().last == receipt
    assert store.start() is None


def test_a_start_where_there_is_no_live_database_keeps_none(
    postgres: Server, tmp_path: Path, snapshot: bytes
) -> None:
    store = new_store(postgres, tmp_path / "machine")
    store.stage(snapshot)
    pending = store.real.get_status().pending
    assert pending is not None
    assert store.real.describe_next_start(pending) == (
        f"The next start puts the snapshot in place as {store.database}."
    )
    receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.kept) == ("applied", None)
    assert store.label() == "new"
    store.drop()


def test_a_session_in_the_database_blocks_a_start_and_is_named(
    store: Store, snapshot: bytes
) -> None:
    store.stage(snapshot)
    words = store.server.conninfo(store.database)
    with psycopg.connect(words, application_name="an old shell") as other:
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "blocked"
        assert f"in use by an old shell of site from 127.0.0.1 ({other.info.backend_pid})" in (
            receipt.reason
        )
    assert store.label() == "old"
    assert store.pending() is not None
    assert store.real.get_status().last == receipt
    done = store.start()
    assert done is not None
    assert done.outcome == "applied"


def test_applying_now_ends_the_sessions_that_are_there(store: Store, snapshot: bytes) -> None:
    store.stage(snapshot)
    with psycopg.connect(store.server.conninfo(store.database)) as other:
        receipt = store.apply_now()
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT 1")
    assert (receipt.outcome, receipt.by) == ("applied", "alice")
    assert store.label() == "new"
    assert store.label(store.kept()[0]) == "old"


def test_applying_now_that_cannot_end_a_session_changes_nothing(
    store: Store, snapshot: bytes
) -> None:
    store.stage(snapshot)
    words = store.server.conninfo(store.database, "postgres")
    with psycopg.connect(words), pytest.raises(NeedsRestartError, match=store.database):
        store.apply_now()
    assert store.label() == "old"
    assert store.pending() is not None


def test_applying_now_wants_what_was_named(store: Store, snapshot: bytes) -> None:
    with pytest.raises(NoPendingRestoreError):
        store.apply_now()
    store.stage(snapshot)
    with pytest.raises(RestoreBlockedError, match="Another snapshot is pending"):
        store.real.apply_now(applied_by="alice", sha256="0" * 64)
    assert store.label() == "old"


def test_a_database_of_the_pending_name_that_nobody_staged_is_set_aside(store: Store) -> None:
    store.real.hold_presence()
    store.real.release_presence()
    make_content(store, "strange", store.names.pending)
    status = store.real.get_status()
    assert status.pending is not None
    assert status.pending.staged_by == "unknown"
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "refused"
    assert store.label() == "old"
    assert store.refused() == [receipt.kept]


# Undo and what is kept


def test_an_undo_puts_back_what_was_live(store: Store, snapshot: bytes) -> None:
    with pytest.raises(NoKeptCopyError):
        store.undo()
    store.stage(snapshot)
    store.start()
    kept = store.kept()[0]
    pending = store.undo()
    assert pending.undoes == kept
    assert store.label(kept) == "old"
    receipt = store.start()
    assert receipt is not None
    assert receipt.undoes == kept
    assert store.label() == "old"
    assert [store.label(name) for name in store.kept()] == ["old", "new"]


def test_a_kept_database_that_cannot_be_migrated_is_put_back_as_it_was(
    postgres: Server, tmp_path: Path, snapshot: bytes
) -> None:
    store = new_store(postgres, tmp_path / "machine", "old", older=True)
    store.stage(snapshot)
    store.start()
    store.site.fails = True
    pending = store.undo()
    assert "put back as it was" in pending.warnings[0]
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert "migrations failed" in receipt.reason
    assert store.label() == "old"
    store.drop()


def test_only_so_many_kept_databases_stay(store: Store, snapshot: bytes) -> None:
    store.kept_copies = 2
    removed = []
    for _ in range(4):
        store.stage(snapshot)
        receipt = store.start()
        assert receipt is not None
        removed.append(len(receipt.removed))
    assert removed == [0, 0, 1, 1]
    assert len(store.kept()) == 2
    assert store.temporaries() == []
    copies = store.real.list_kept_copies()
    # The name of one that is gone is free again, within the same second.
    assert {each.name for each in copies} == set(store.kept())
    assert all(each.is_database and each.size > 1_000_000 for each in copies)


def test_no_young_one_goes(store: Store, snapshot: bytes) -> None:
    store.kept_copies, store.kept_days = 1, 7
    for _ in range(3):
        store.stage(snapshot)
        store.start()
    assert len(store.kept()) == 3
    until = [each.stays_until for each in store.real.list_kept_copies()]
    assert all(each is not None and each > datetime.now(UTC) for each in until)


def test_all_stay_where_that_is_asked_for(store: Store, snapshot: bytes) -> None:
    store.kept_copies = 0
    for _ in range(3):
        store.stage(snapshot)
        store.start()
    assert len(store.kept()) == 3
    assert {each.stays_until for each in store.real.list_kept_copies()} == {None}


def test_a_kept_database_that_somebody_looks_into_stays(store: Store, snapshot: bytes) -> None:
    store.kept_copies = 1
    store.stage(snapshot)
    store.start()
    kept = store.kept()[0]
    with store.connect(kept):
        store.stage(snapshot)
        receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.removed) == ("applied", ())
    assert kept in store.kept()


# The drill


def test_a_snapshot_is_proved_and_nothing_stays(store: Store, tmp_path: Path) -> None:
    older = new_snapshot(store.server, tmp_path / "older", "older", older=True)
    proof = store.real.prove(iter([older]), max_bytes=MAX_BYTES)
    assert proof.migrations == ("shop.0002_prices",)
    assert proof.came.migrations == ("shop.0001_initial",)
    assert (proof.came.rows["accounts"], proof.restored.rows["accounts"]) == (4, 4)
    assert "prices" not in proof.came.rows
    assert proof.restored.rows["prices"] == 0
    assert proof.emptied == ("sessions",)
    assert store.temporaries() == []
    assert store.outcomes() == []


def test_a_file_is_checked_without_a_database(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.dump"
    content = store.snapshot()
    path.write_bytes(content)
    assert store.real.check_snapshot(path, is_own=True) == ()
    path.write_bytes(content[:-100])
    with pytest.raises(DamagedSnapshotError):
        store.real.check_snapshot(path, is_own=True)
    path.write_bytes(b"hello")
    with pytest.raises(NotADatabaseError):
        store.real.check_snapshot(path, is_own=False)


# What all processes share


def test_what_is_remembered_is_shared_and_no_restore_changes_it(
    store: Store, snapshot: bytes
) -> None:
    assert store.real.recall() == {}
    with store.real.remember() as state:
        state["jobs"] = [{"id": "1", "words": "a NUL: \0, and ☃"}]
    store.stage(snapshot)
    store.start()
    assert store.real.recall() == {"jobs": [{"id": "1", "words": "a NUL: ?, and ☃"}]}


def test_each_sees_what_the_one_before_remembered_whatever_isolation_is_the_default(
    store: Store,
) -> None:
    with store.real.remember() as state:
        state["first"] = 1
    store.server.admin(
        f"ALTER ROLE {store.server.role} IN DATABASE {store.names.control}"
        " SET default_transaction_isolation = 'serializable'"
    )

    def remember() -> None:
        with store.real.remember() as state:
            state["third"] = state["second"] + 1

    with ThreadPoolExecutor(1) as pool:
        with store.real.remember() as state:
            waiting = pool.submit(remember)
            until(lambda: store.server.admin(WAITS.format(store.names.control)))
            state["second"] = 2
        waiting.result()
    assert store.real.recall() == {"first": 1, "second": 2, "third": 3}


def test_a_block_that_fails_remembers_nothing(store: Store) -> None:
    def fail(state: dict[str, Any]) -> None:
        state["jobs"] = 1
        raise KeyError

    with pytest.raises(KeyError), store.real.remember() as state:
        fail(state)
    assert store.real.recall() == {}


def test_a_lock_is_held_once(store: Store) -> None:
    with store.real.lock("leader"):
        with pytest.raises(BusyError), store.real.lock("leader"):
            pass
        with store.real.lock("another"):
            pass
    with store.real.lock("leader"):
        pass


def test_nothing_is_made_by_who_only_reads(store: Store) -> None:
    assert store.real.get_status().pending is None
    assert store.real.list_receipts() == []
    assert store.real.list_downloads() == []
    assert store.real.list_kept_copies() == []
    assert store.real.list_backup_receipts() == []
    assert store.real.recall() == {}
    assert store.real.sweep() == []
    assert store.databases() == [store.database]


def test_backup_receipts_come_newest_first(store: Store) -> None:
    for number in range(3):
        store.real.record_backup({"number": number})
    assert [each["number"] for each in store.real.list_backup_receipts()] == [2, 1, 0]


# What is missing


def test_large_objects_are_refused_when_a_snapshot_is_taken(store: Store) -> None:
    with store.connect() as connection:
        connection.execute("SELECT lo_create(0)")
    with pytest.raises(BackupNotSupportedError, match="has 1 large objects"):
        store.snapshot()


def test_a_role_that_may_not_create_databases_is_told_so(store: Store, snapshot: bytes) -> None:
    store.real.hold_presence()  # the control database is there
    store.server.admin(f"ALTER ROLE {store.server.role} NOCREATEDB")
    try:
        with pytest.raises(BackupNotSupportedError, match="may not create databases") as caught:
            store.stage(snapshot)
        assert "ALTER ROLE site CREATEDB" in caught.value.hint
        assert store.snapshot()  # which needs no new database
    finally:
        store.server.admin(f"ALTER ROLE {store.server.role} CREATEDB")


def test_a_control_database_that_cannot_be_made_is_named(store: Store) -> None:
    store.server.admin(f"ALTER ROLE {store.server.role} NOCREATEDB")
    try:
        with pytest.raises(BackupNotSupportedError, match=f"{store.database}_backups") as caught:
            store.real.create_snapshot()
        assert "ALTER ROLE site CREATEDB" in caught.value.hint
    finally:
        store.server.admin(f"ALTER ROLE {store.server.role} CREATEDB")


def test_a_database_that_is_not_the_roles_own_is_named(store: Store, snapshot: bytes) -> None:
    store.server.admin(f"ALTER DATABASE {store.database} OWNER TO postgres")
    with pytest.raises(
        BackupNotSupportedError, match=f"does not own the database {store.database}"
    ):
        store.stage(snapshot)
    assert store.temporaries() == []


def test_a_server_that_is_not_there_is_not_said_to_refuse(store: Store) -> None:
    store.port = 1
    with pytest.raises(DatabaseServerError) as refused:
        store.real.get_status()
    said = str(refused.value)
    assert said.startswith(
        f"There is no connection for the database {store.names.control}: connection to server"
    )
    assert said.endswith("Connection refused."), "and not with a question of libpq's"


def test_a_store_is_ready_or_says_what_is_missing(store: Store) -> None:
    store.real.check_ready()
    store.server.admin(f"ALTER DATABASE {store.database} OWNER TO postgres")
    with pytest.raises(BackupNotSupportedError, match="does not own the database"):
        store.real.check_ready()


def test_a_superuser_restores_nothing(store: Store, snapshot: bytes) -> None:
    store.server.admin(f"ALTER ROLE {store.server.role} SUPERUSER")
    try:
        with pytest.raises(BackupNotSupportedError, match="is a superuser") as refused:
            store.stage(snapshot)
        # Not REASSIGN OWNED: the server refuses it for the first superuser.
        assert "a new database that it owns" in refused.value.hint
    finally:
        store.server.admin(f"ALTER ROLE {store.server.role} NOSUPERUSER")


def test_rights_of_other_roles_that_will_be_lost_are_named(store: Store, snapshot: bytes) -> None:
    store.server.admin("CREATE ROLE reports")
    try:
        store.server.admin("GRANT SELECT ON accounts TO reports", store.database)
        (warning,) = store.stage(snapshot).warnings
        assert "will not have: reports." in warning
    finally:
        store.server.admin("DROP OWNED BY reports", store.database)
        store.server.admin("DROP ROLE reports")


def test_a_server_that_is_not_there_is_named(store: Store) -> None:
    store.port = 1
    for ask in (store.real.get_status, store.real.hold_presence, store.real.create_snapshot):
        with pytest.raises(DatabaseServerError):
            ask()
    with pytest.raises(DatabaseServerError):
        store.real.recall()
    assert store.real.count_rows() == {}
    assert store.real.has_content() is False
    with pytest.raises(RestoreBlockedError):
        store.real.is_readable()
    store.port = 0


# What a new database has of the live one


def test_a_restored_database_is_like_the_live_one(store: Store, snapshot: bytes) -> None:
    name, role = store.database, store.server.role
    store.server.admin("CREATE ROLE readers")
    try:
        for words in (
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {name} TO readers",
            f"ALTER DATABASE {name} SET statement_timeout = '61s'",
            f"ALTER DATABASE {name} CONNECTION LIMIT 17",
        ):
            store.server.admin(words)
        like = (
            "SELECT datcollate, datctype, datlocprovider, encoding, datconnlimit, datdba,"
            f" has_database_privilege('readers', '{name}', 'CONNECT'),"
            " (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = pg_database.oid),"
            f" datacl::text[] @> ARRAY['readers=c/{role}'] "
            f"FROM pg_database WHERE datname = '{name}'"
        )
        before = store.server.admin(like)
        store.stage(snapshot)
        store.start()
        assert store.server.admin(like) == before
        assert before[0][-3:] == (True, ["statement_timeout=61s"], True)
    finally:
        for name in store.databases():
            store.server.admin(f'REVOKE ALL ON DATABASE "{name}" FROM readers')
        store.server.admin("DROP ROLE readers")
