"""What the server does in a database by itself keeps nobody from a restore."""

from pathlib import Path

import psycopg
import pytest

from backups.postgres import databases
from tests.backups.waiting import until
from tests.postgres.server import Server
from tests.postgres.stores import make_content, new_store

pytestmark = pytest.mark.postgres

# It begins at once, and needs an hour for the rows below.
SLOW = {"naptime": "1s", "vacuum_cost_limit": "1", "vacuum_cost_delay": "100ms"}
ROWS = """
CREATE TABLE many AS SELECT repeat('x', 1000) FROM generate_series(1, 50000); DELETE FROM many
"""
VACUUMS = """
SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = '{}'
"""


def test_a_database_that_is_vacuumed_is_dropped(own_postgres: Server, tmp_path: Path) -> None:
    store = new_store(own_postgres, tmp_path / "machine", "old")
    name = store.names.going()
    make_content(store, "old", name)
    with psycopg.connect(own_postgres.conninfo(name), autocommit=True) as orphan:  # of pg_restore
        for setting, value in SLOW.items():
            own_postgres.admin(f"ALTER SYSTEM SET autovacuum_{setting} = '{value}'")
        own_postgres.admin("SELECT pg_reload_conf()")
        orphan.execute(ROWS)
        orphan.execute("SELECT pg_stat_force_next_flush()")  # at once, so that it is vacuumed
        until(lambda: own_postgres.admin(VACUUMS.format(name)))
        databases.drop_if_possible(store.control, name)
        with pytest.raises(psycopg.OperationalError):
            orphan.execute("SELECT 1")
    assert name not in store.databases()
