"""The server's own workers, which look into a database that has just been filled."""

from pathlib import Path

import pytest

from backups.postgres import databases
from tests.backups.waiting import until
from tests.postgres.server import Server
from tests.postgres.stores import make_content, new_store

pytestmark = pytest.mark.postgres

# It looks at once, and is then at work for long.
EAGER = {"naptime": "1s", "vacuum_cost_delay": "100ms", "vacuum_cost_limit": "1"}
MANY = "INSERT INTO journal SELECT 'many ' || n, 1, 2, 0 FROM generate_series(1, 50000) n"
AT_WORK = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = "


def test_a_database_goes_although_autovacuum_is_in_it(own_postgres: Server, tmp_path: Path) -> None:
    for name, value in EAGER.items():
        own_postgres.admin(f"ALTER SYSTEM SET autovacuum_{name} = '{value}'")
    own_postgres.admin("SELECT pg_reload_conf()")
    store = new_store(own_postgres, tmp_path / "machine", "old")
    incoming = store.names.incoming()
    make_content(store, "new", incoming)
    with store.connect(incoming) as connection:
        connection.execute(MANY.encode())
    until(lambda: own_postgres.admin(f"{AT_WORK}'{incoming}'"))
    databases.drop_now(store.control, incoming)
    assert incoming not in store.databases()
