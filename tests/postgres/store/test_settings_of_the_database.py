"""What an administrator has set for the live database is set for what takes its place."""

import pytest

from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot

pytestmark = pytest.mark.postgres

SET = """
SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
WHERE datname = '{}' AND setrole = {}
"""


@pytest.fixture(scope="module")
def snapshot(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return new_snapshot(postgres, tmp_path_factory.mktemp("snapshot"))


def settings(store: Store, *, role: str = "") -> list[str]:
    whose = f"'{role}'::regrole" if role else "0"
    return sorted(each for (each,) in store.server.admin(SET.format(store.database, whose)))


def test_settings_of_the_database_stay_with_its_name(store: Store, snapshot: bytes) -> None:
    for words in (
        "search_path = app, public",
        "statement_timeout = '90s'",
        "DateStyle = 'ISO, DMY'",
    ):
        store.server.admin(f"ALTER DATABASE {store.database} SET {words}")
    before = settings(store)
    store.stage(snapshot)
    store.start()
    assert settings(store) == before
    assert store.label() == "new"


def test_those_of_the_role_in_it_do_too(store: Store, snapshot: bytes) -> None:
    store.server.admin(f"ALTER ROLE site IN DATABASE {store.database} SET search_path = a, public")
    store.stage(snapshot)
    store.start()
    assert settings(store, role="site") == ["search_path=a, public"]


def test_those_that_only_an_administrator_may_set_are_named(store: Store, snapshot: bytes) -> None:
    store.server.admin(f"ALTER DATABASE {store.database} SET log_min_messages = 'error'")
    store.server.admin(f"ALTER ROLE postgres IN DATABASE {store.database} SET search_path = a")
    pending = store.stage(snapshot)
    (warning,) = pending.warnings
    assert "log_min_messages, postgres.search_path" in warning
    store.start()
    assert (store.label(), settings(store)) == ("new", [])


def test_its_comment_and_its_limit_of_connections_stay_too(store: Store, snapshot: bytes) -> None:
    """In an undo as well, which copies a database."""
    ask = (
        "SELECT datconnlimit, shobj_description(oid, 'pg_database') FROM pg_database"
        f" WHERE datname = '{store.database}'"
    )
    store.server.admin(f"ALTER DATABASE {store.database} CONNECTION LIMIT 20")
    store.server.admin(f"COMMENT ON DATABASE {store.database} IS 'It''s ours; call 4711'")
    before = store.server.admin(ask)
    store.stage(snapshot)
    store.start()
    assert (store.label(), store.server.admin(ask)) == ("new", before)
    store.undo()
    store.start()
    assert (store.label(), store.server.admin(ask)) == ("old", before)


def test_a_snapshot_does_not_have_the_old_form_of_texts(store: Store) -> None:
    """Which nobody could judge, so that no restore would take it."""
    store.server.admin(
        f"ALTER ROLE site IN DATABASE {store.database} SET standard_conforming_strings = off"
    )
    store.stage(store.snapshot())
    assert store.label(store.names.pending) == "old"


def test_a_role_that_only_reads_unless_it_asks_can_restore(store: Store, snapshot: bytes) -> None:
    store.server.admin(
        f"ALTER ROLE site IN DATABASE {store.database} SET default_transaction_read_only = on"
    )
    store.stage(snapshot)
    store.start()
    assert store.label() == "new"
    assert settings(store, role="site") == ["default_transaction_read_only=on"]
