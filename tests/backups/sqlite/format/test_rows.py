"""How many rows each table has."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backups.sqlite.format.rows import take_inventory
from tests.backups import builders


def test_each_table_is_counted_and_those_of_sqlite_are_not(tmp_path: Path) -> None:
    with closing(sqlite3.connect(builders.healthy(tmp_path / "db", "one", "two"))) as connection:
        connection.execute("CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.execute("CREATE VIEW seen AS SELECT 1")
        found = take_inventory(connection)
    expected = {"django_migrations": 2, "items": 2, "numbered": 0, "owners": 0, "prices": 0}
    assert found.rows == expected
    assert found.migrations == builders.MIGRATIONS


def test_table_that_sqlite_can_not_read_is_left_out(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "db")
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("swedish", lambda one, other: (one > other) - (one < other))
        connection.execute(
            "CREATE TABLE strange (a TEXT COLLATE swedish PRIMARY KEY) WITHOUT ROWID"
        )
    with closing(sqlite3.connect(path)) as connection:
        assert "strange" not in take_inventory(connection).rows


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM])
def test_failing_machine_is_no_missing_table(tmp_path: Path, code: int) -> None:
    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if "count(*)" in sql:
                error = sqlite3.OperationalError("it failed")
                error.sqlite_errorcode = code
                raise error
            return super().execute(sql, *arguments)

    path = builders.healthy(tmp_path / "db")
    with (
        closing(sqlite3.connect(path, factory=Failing)) as connection,
        pytest.raises(sqlite3.OperationalError, match="it failed"),
    ):
        take_inventory(connection)
