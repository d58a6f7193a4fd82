"""Rare ends: another was faster, an answer was lost, a clock was wrong, a start gave up."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from backups.exceptions import (
    BackupNotSupportedError,
    DatabaseServerError,
    MigrationStoppedError,
    RestoreBlockedError,
    RestoreRefusedError,
    StoreFolderError,
)
from backups.postgres import pending
from backups.postgres.applying import Applying
from backups.postgres.control import Control
from backups.postgres.kept import Keeping
from backups.postgres.scratch import Scratch
from backups.postgres.server import Connection
from backups.store import Receipt
from tests.postgres.server import Server
from tests.postgres.standby import wait_until_equal
from tests.postgres.stores import Store, make_content, new_snapshot, new_store

pytestmark = pytest.mark.postgres

MIGRATIONS = ("shop.0001_initial", "shop.0002_prices")


@pytest.fixture
def snapshot(postgres: Server, tmp_path: Path) -> bytes:
    return new_snapshot(postgres, tmp_path / "snapshot")


@pytest.fixture
def older(postgres: Server, tmp_path: Path) -> bytes:
    return new_snapshot(postgres, tmp_path / "older", "older", older=True)


def applying(store: Store) -> Applying:
    return Applying(store.control, Keeping(copies=3, days=0))


def test_only_the_snapshot_that_was_looked_at_is_applied(store: Store, snapshot: bytes) -> None:
    store.stage(snapshot)
    looked_at = store.pending()
    store.stage(store.snapshot())
    assert looked_at is not None
    with pytest.raises(RestoreBlockedError, match="Another snapshot is pending now"):
        applying(store).now(looked_at, by="alice")
    assert store.label() == "old"
    assert store.kept() == []


def test_a_migrated_copy_takes_the_place_of_its_own_snapshot_only(
    store: Store, snapshot: bytes
) -> None:
    store.stage(snapshot)
    looked_at = store.pending()
    store.stage(store.snapshot())
    assert looked_at is not None
    with pytest.raises(RestoreBlockedError, match="Another snapshot is pending now"):
        pending.replace_pending(store.control, store.names.incoming(), looked_at, looked_at)
    assert store.label(store.names.pending) == "old"


@pytest.mark.parametrize("apply", [Store.start, Store.apply_now])
def test_what_is_staged_while_a_migration_fails_is_not_set_aside_for_it(
    apply: Callable[[Store], Receipt], store: Store, snapshot: bytes, older: bytes
) -> None:
    store.site.known = MIGRATIONS[:1]
    store.stage(older)
    store.site.known = MIGRATIONS

    def fail() -> None:
        store.stage(snapshot)
        raise RestoreRefusedError("The snapshot's migrations failed.")

    store.site.on_migrate = fail
    with suppress(RestoreBlockedError):  # a start writes a receipt of it instead
        assert apply(store).reason == "Another snapshot is pending now. That stays pending."
    assert store.refused() == []
    assert store.label(store.names.pending) == "new"
    assert "refused" not in store.outcomes()
    assert store.apply_now().outcome == "applied"


def test_an_answer_that_is_lost_is_looked_up(
    store: Store, snapshot: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is committed, and its connection ends before the server can say so."""
    store.stage(snapshot)
    manifest = store.pending()
    assert manifest is not None
    real = Control.transaction

    @contextmanager
    def without_an_answer(self: Control) -> Iterator[Connection]:
        with real(self) as connection:
            yield connection
        raise DatabaseServerError("the connection is gone") from psycopg.OperationalError()

    with monkeypatch.context() as patched:
        patched.setattr(Control, "transaction", without_an_answer)
        receipt = applying(store).when_nobody_is_connected(manifest, began=0.0)
    assert receipt == store.receipts()[-1]
    assert store.label() == "new"


def test_an_error_before_the_end_is_no_lost_answer(
    store: Store, snapshot: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.stage(snapshot)
    manifest = store.pending()
    assert manifest is not None

    @contextmanager
    def refused(self: Control) -> Iterator[Connection]:
        with self.session() as connection, connection.transaction():
            yield connection
            raise DatabaseServerError("refused") from psycopg.OperationalError()

    with monkeypatch.context() as patched:
        patched.setattr(Control, "transaction", refused)
        with pytest.raises(DatabaseServerError, match="refused"):
            applying(store).when_nobody_is_connected(manifest, began=0.0)
    assert store.label() == "old"


def test_the_kept_database_that_an_undo_puts_back_stays(store: Store, snapshot: bytes) -> None:
    store.kept_copies = 1
    store.stage(snapshot)
    store.start()
    kept = store.kept()[0]
    store.undo()
    store.start()
    assert kept in store.kept()


def test_a_kept_database_of_a_clock_that_was_never_set_stays(store: Store, snapshot: bytes) -> None:
    name = f"{store.database}_pre_restore_19700101-000000"
    make_content(store, "of 1970", name)
    store.kept_copies = 1
    for _ in range(3):
        store.stage(snapshot)
        store.start()
    assert name in store.kept()


def test_login_sessions_in_a_dump_are_removed_while_it_is_staged(store: Store) -> None:
    store.site.sessions = ()
    content = store.snapshot()  # with them, as another program would take it
    store.site.sessions = ("sessions",)
    store.stage(content)
    found = store.server.admin("SELECT count(*) FROM sessions", store.names.pending)
    assert found == [(0,)]


def test_a_snapshot_leaves_the_rows_of_login_sessions_out(store: Store) -> None:
    content = store.snapshot()
    store.site.sessions = ()
    store.stage(content)
    found = store.server.admin("SELECT count(*) FROM sessions", store.names.pending)
    assert found == [(0,)]


def test_starts_that_never_finish_the_migrations_give_up(store: Store, older: bytes) -> None:
    store.site.known = MIGRATIONS[:1]
    store.stage(older)
    store.site.known = MIGRATIONS
    store.migrate_tries = 2

    def stop() -> None:
        raise MigrationStoppedError("The snapshot's migrations did not end.")

    store.site.on_migrate = stop
    assert [store.start(), store.start(), store.start()][2] is None
    assert store.outcomes() == ["staged", "blocked", "refused"]
    assert "the last try of 2" in store.receipts()[-1].reason
    assert store.label() == "old"


def test_starts_that_are_killed_in_the_migrations_give_up_too(store: Store, older: bytes) -> None:
    store.site.known = MIGRATIONS[:1]
    store.stage(older)
    store.site.known = MIGRATIONS

    def end() -> None:
        raise KeyboardInterrupt

    store.site.on_migrate = end
    store.migrate_tries = 1
    with pytest.raises(KeyboardInterrupt):
        store.start()
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "refused"
    assert "BACKUPS_MIGRATE_TRIES" in receipt.reason
    assert store.label() == "old"


def test_a_folder_of_another_user_in_a_shared_place_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "ours").mkdir()
    with Scratch(shared / "ours").file() as file:
        assert file.path.parent == shared / "ours"
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StoreFolderError, match="belongs to another user"):
        Scratch(shared / "ours").nameless()


def test_a_standby_is_told_from_a_role_without_rights(
    postgres: Server, standby: Server, tmp_path: Path, snapshot: bytes
) -> None:
    primary = new_store(postgres, tmp_path / "primary", "old")
    primary.real.hold_presence()  # makes the control database
    primary.real.release_presence()
    wait_until_equal(postgres, standby)
    there = Store(standby, primary.database, tmp_path / "primary")
    with pytest.raises(BackupNotSupportedError, match="This server is a standby") as caught:
        there.stage(snapshot)
    assert "pg_promote" in caught.value.hint
    assert there.start() is None  # nothing is pending, and nothing may be changed
    primary.drop()


def test_a_right_that_was_taken_away_meanwhile_is_named(
    own_postgres: Server, tmp_path: Path
) -> None:
    store = new_store(own_postgres, tmp_path / "machine", "old")
    store.stage(new_snapshot(own_postgres, tmp_path / "other"))
    own_postgres.admin("ALTER ROLE site NOCREATEDB")
    for work in (store.start, store.apply_now):
        with pytest.raises(DatabaseServerError, match="permission denied") as caught:
            work()
        assert "check --database" in caught.value.hint
    own_postgres.admin("ALTER ROLE site CREATEDB")
    store.start()
    assert store.label() == "new"


def test_too_many_connections_are_not_called_a_damaged_database(
    own_postgres: Server, tmp_path: Path
) -> None:
    """There is one for the turn, and one for the count, and none for pg_dump."""
    store = new_store(own_postgres, tmp_path / "machine", "old")
    store.snapshot()  # makes the control database
    own_postgres.admin("ALTER ROLE site CONNECTION LIMIT 2")
    with pytest.raises(DatabaseServerError, match="too many connections"):
        store.snapshot()
    assert store.temporaries() == []
