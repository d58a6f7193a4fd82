"""Sessions of other roles, of which the server tells the site's role little: all are named."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from backups.exceptions import NeedsRestartError, RestoreBlockedError
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot, new_store

pytestmark = pytest.mark.postgres

OTHER = "reporting"


@pytest.fixture
def store(postgres: Server, tmp_path: Path) -> Iterator[Store]:
    made = new_store(postgres, tmp_path / "machine", "old")
    postgres.admin(f"CREATE ROLE {OTHER} LOGIN PASSWORD '{postgres.password}'")
    yield made
    made.real.release_presence()
    made.drop()
    postgres.admin(f"DROP ROLE {OTHER}")


@pytest.fixture(scope="module")
def snapshot(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return new_snapshot(postgres, tmp_path_factory.mktemp("snapshot"))


@contextmanager
def other(store: Store, database: str) -> Iterator[psycopg.Connection]:
    """A session of another role."""
    words = store.server.conninfo(database, OTHER)
    with psycopg.connect(words, application_name="psql", autocommit=True) as session:
        yield session


def test_a_start_names_one_in_the_live_database_at_once(store: Store, snapshot: bytes) -> None:
    store.stage(snapshot)
    with other(store, store.database) as session:
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "blocked"
        assert receipt.reason.startswith(
            f"The database {store.database} is in use by psql of {OTHER}"
            f" ({session.info.backend_pid}). No process of the site is present, so a pooler keeps"
        )
        assert "manage.py restore_db --now" in receipt.reason
    assert store.label() == "old"


@pytest.mark.parametrize("name", ["database", "names.pending"])
def test_applying_now_names_one_that_it_cannot_end(
    store: Store, snapshot: bytes, name: str
) -> None:
    store.stage(snapshot)
    database = store.names.pending if name == "names.pending" else store.database
    with other(store, database), pytest.raises(NeedsRestartError, match=f"psql of {OTHER}") as said:
        store.apply_now()
    assert f"The database {database} " in str(said.value)
    assert store.label() == "old"


def test_applying_now_ends_those_that_it_may_beside_one_that_it_may_not(
    store: Store, snapshot: bytes
) -> None:
    store.stage(snapshot)
    with ExitStack() as stack:
        stack.enter_context(other(store, store.database))
        own = psycopg.connect(store.server.conninfo(store.database))
        stack.callback(own.close)
        with pytest.raises(NeedsRestartError):
            store.apply_now()
        with pytest.raises(psycopg.errors.AdminShutdown):
            own.execute("SELECT 1")


def test_a_role_that_may_end_sessions_of_others_ends_them(store: Store, snapshot: bytes) -> None:
    store.server.admin("GRANT pg_signal_backend TO site")
    try:
        store.stage(snapshot)
        with other(store, store.database) as session:
            assert store.apply_now().outcome == "applied"
            with pytest.raises(psycopg.errors.AdminShutdown):
                session.execute("SELECT 1")
    finally:
        store.server.admin("REVOKE pg_signal_backend FROM site")


def test_one_in_the_pending_database_is_named_by_what_would_replace_it(
    store: Store, snapshot: bytes
) -> None:
    store.stage(snapshot)
    with other(store, store.names.pending):
        with pytest.raises(RestoreBlockedError, match=f"psql of {OTHER}"):
            store.stage(snapshot)
        with pytest.raises(RestoreBlockedError, match=f"psql of {OTHER}"):
            store.real.discard_pending_restore(discarded_by="alice")
    assert store.pending() is not None
    assert store.temporaries() == []


def test_a_kept_database_that_one_looks_into_stays(store: Store, snapshot: bytes) -> None:
    store.kept_copies = 1
    for _ in range(2):
        store.stage(snapshot)
        if not store.kept():
            store.start()
    with other(store, store.kept()[0]):
        receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.removed) == ("applied", ())
    assert len(store.kept()) == 2


@pytest.mark.parametrize("how", ["start", "apply_now"])
def test_a_transaction_that_has_it_locked_is_named_before_the_site_hangs_for_long(
    store: Store, snapshot: bytes, how: str
) -> None:
    store.stage(snapshot)
    with store.connect("postgres") as session:
        session.execute(f"COMMENT ON DATABASE {store.database} IS 'still in a transaction'")
        if how == "start":
            receipt = store.start()
            assert receipt is not None
            assert receipt.outcome == "blocked"
            said = receipt.reason
        else:
            with pytest.raises(NeedsRestartError) as error:
                store.apply_now()
            said = str(error.value)
        assert f"of site from 127.0.0.1 ({session.info.backend_pid})" in said
    assert store.label() == "old"
    assert store.apply_now().outcome == "applied"
