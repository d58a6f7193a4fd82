"""A database that is not owned or encoded as most are is replaced by one that is like it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres.server import Server
from tests.postgres.stores import SCHEMA, SECOND_MIGRATION, Store, new_store

pytestmark = pytest.mark.postgres

OWNER = "owners"


@pytest.fixture
def group(store: Store) -> Iterator[str]:
    """The role that owns the database, of which the site's is a member."""
    server = store.server
    server.admin(f"CREATE ROLE {OWNER} NOLOGIN")
    server.admin(f"GRANT {OWNER} TO {server.role}")
    server.admin(f"ALTER DATABASE {store.database} OWNER TO {OWNER}")
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    for (table,) in server.admin(tables, store.database):  # REASSIGN takes other databases too
        server.admin(f"ALTER TABLE {table} OWNER TO {OWNER}", store.database)
    yield OWNER
    store.real.release_presence()
    store.drop()
    server.admin(f"DROP ROLE {OWNER}")


def owners(store: Store) -> set[str]:
    """Who owns the live database and its tables."""
    query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    tables = "SELECT tableowner FROM pg_tables WHERE schemaname = 'public'"
    return {role for (role,) in store.server.admin(f"{query} UNION {tables}", store.database)}


def test_what_a_group_owns_stays_the_groups(store: Store, group: str) -> None:
    store.stage(store.snapshot())
    store.start()
    assert owners(store) == {group}
    store.undo()
    store.start()
    assert owners(store) == {group}


def test_a_database_in_another_encoding_is_restored_in_that(
    postgres: Server, tmp_path: Path
) -> None:
    store = new_store(postgres, tmp_path / "machine")
    postgres.admin(
        f"CREATE DATABASE {store.database} OWNER site TEMPLATE template0 ENCODING 'LATIN1'"
        " LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc"
    )
    try:
        with psycopg.connect(postgres.conninfo(store.database), client_encoding="UTF8") as site:
            site.execute(SCHEMA)
            site.execute(SECOND_MIGRATION)
            for number in range(1, 5):
                site.execute("INSERT INTO accounts VALUES (%s, 'Zoë', 0)", [number])
        store.stage(store.snapshot())
        store.start()
        assert store.outcomes() == ["staged", "applied"]
        assert store.label() == "Zoë"
        assert postgres.admin("SHOW server_encoding", store.database) == [("LATIN1",)]
    finally:
        store.drop()
