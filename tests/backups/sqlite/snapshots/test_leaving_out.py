"""A compact snapshot has no login in it, to the last byte, and everything else as it is."""

import hashlib
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.sqlite.records.sent_snapshots import was_sent
from backups.sqlite.snapshots import compact
from backups.sqlite.snapshots.leaving_out import has_rows
from tests import standard_sqlite
from tests.backups import builders
from tests.backups.stores import Store, new_store
from tests.site import Site

KEYS = tuple(f"key-{number:028}" for number in range(2_000))
KEY = b"key-0"


def changed(store: Store, script: str) -> None:
    with closing(sqlite3.connect(store.database)) as connection:
        connection.executescript(script)


def dump(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return list(standard_sqlite.dump(connection))


def taken(store: Store, tmp_path: Path) -> Path:
    """A compact snapshot as a file."""
    path = tmp_path / "taken.db"
    path.write_bytes(store.snapshot(compact=True))
    assert not store.temporaries()
    return path


def without_logins(store: Store, tmp_path: Path) -> Path:
    """What SQLite makes of the database once nobody is logged in."""
    plain = tmp_path / "plain.db"
    with closing(sqlite3.connect(store.database, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM sessions")
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat4'").fetchone():
            connection.execute("DELETE FROM sqlite_stat4 WHERE tbl = 'sessions'")
        (tmp_path / "emptied.db").write_bytes(b"")
        connection.execute("COMMIT")
        connection.execute("VACUUM INTO ?", (str(plain),))
    return plain


@pytest.fixture(params=["delete", "wal", "copied first"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store in which many are logged in, and some have been."""
    store = new_store(tmp_path)
    builders.with_sessions(store.database, *KEYS)
    changed(store, "PRAGMA user_version=7; DELETE FROM sessions WHERE key LIKE '%1'; ANALYZE")
    if request.param == "wal":
        changed(store, "PRAGMA journal_mode=WAL; INSERT INTO items (name) VALUES ('in the WAL')")
    patched = mock.patch.object(compact, "COPIED_FROM", 0)
    with patched if request.param == "copied first" else nullcontext():
        yield store


def test_snapshot_is_what_it_would_be_if_nobody_were_logged_in(
    store: Store, tmp_path: Path
) -> None:
    assert KEY in store.database.read_bytes()
    path = taken(store, tmp_path)
    content = path.read_bytes()
    assert KEY not in content
    with closing(sqlite3.connect(store.database)) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1800,)
    plain = without_logins(store, tmp_path).read_bytes()
    assert content[:40] + content[44:] == plain[:40] + plain[44:], "but for the schema's number"
    assert was_sent(store.paths, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def test_without_room_for_two_copies_they_are_overwritten_in_one(
    store: Store, tmp_path: Path
) -> None:
    room = store.database.stat().st_size * 3 // 2
    with mock.patch.object(files, "free_bytes", return_value=room):
        path = taken(store, tmp_path)
    assert KEY not in path.read_bytes()
    assert dump(path) == dump(without_logins(store, tmp_path))


def test_login_of_this_very_moment_is_left_out_too(store: Store, tmp_path: Path) -> None:
    with mock.patch.object(compact, "has_rows", return_value=False):
        path = taken(store, tmp_path)
    assert KEY not in path.read_bytes()
    assert dump(path) == dump(without_logins(store, tmp_path))


def test_snapshot_without_logins_can_be_restored_and_is_known_as_sent(
    store: Store, tmp_path: Path
) -> None:
    path = taken(store, tmp_path)
    pending = store.stage(path)
    assert pending.sha256 == files.sha256(path) == files.sha256(store.paths.pending)
    assert pending.warnings == ()


def test_pages_have_them(store: Store) -> None:
    assert KEY in store.snapshot(compact=False)


def test_they_are_in_it_where_the_setting_says_so(store: Store, tmp_path: Path) -> None:
    store.site.sessions = ()
    assert KEY in taken(store, tmp_path).read_bytes()


# What refers to them, and what can't be deleted


@pytest.fixture
def linked(tmp_path: Path) -> Store:
    """A store with rows that refer to sessions."""
    store = new_store(tmp_path)
    builders.with_sessions(store.database, "key-0a", "key-0b")
    changed(
        store,
        """
        CREATE TABLE visits (
            id INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES "Sessions" (key)
        );
        CREATE TABLE carts (
            id INTEGER PRIMARY KEY,
            session TEXT REFERENCES sessions (key) ON DELETE CASCADE, note TEXT
        );
        INSERT INTO carts (session, note) VALUES ('key-0a', 'milk'), (NULL, 'bread');
        """,
    )
    return store


@pytest.mark.parametrize("room", [10**9, 0], ids=["room", "no room"])
def test_column_that_refers_to_a_login_becomes_null_and_its_row_stays(
    room: int, linked: Store, tmp_path: Path
) -> None:
    changed(
        linked,
        """
        CREATE INDEX carts_by_session ON carts (session);
        WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
        INSERT INTO carts (session, note) SELECT 'key-0b', 'many' FROM n;
        """,
    )
    room = room or linked.database.stat().st_size * 3 // 2
    with mock.patch.object(files, "free_bytes", return_value=room):
        path = taken(linked, tmp_path)
    assert KEY not in path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(
            "SELECT session, note FROM carts WHERE note <> 'many' ORDER BY id"
        ).fetchall() == [
            (None, "milk"),
            (None, "bread"),
        ]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_rows_that_go_with_their_login_go_first(linked: Store, tmp_path: Path) -> None:
    changed(linked, "INSERT INTO visits (session) VALUES ('key-0a')")
    linked.site.sessions = ("visits", "sessions")
    path = taken(linked, tmp_path)
    assert KEY not in path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM visits").fetchall() == []
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


LOG = "CREATE TABLE logged (what TEXT); CREATE TRIGGER logging"
STAY = {
    "rows of visits refer to them": "INSERT INTO visits (session) VALUES ('key-0a')",
    "the trigger logging would run": (
        f"{LOG} AFTER DELETE ON sessions BEGIN INSERT INTO logged VALUES (old.key); END"
    ),
    "the trigger logging would run ": (
        f"{LOG} BEFORE DELETE ON sessions BEGIN SELECT RAISE(IGNORE); END"
    ),
    "the trigger logging would run  ": (
        f"{LOG} AFTER UPDATE ON carts BEGIN INSERT INTO logged VALUES ('cart'); END"
    ),
    "no such table: main.gone": (
        "CREATE TRIGGER odd AFTER DELETE ON sessions BEGIN INSERT INTO gone VALUES (1); END"
    ),
    "CHECK constraint failed": (
        "CREATE TABLE paid (session TEXT CHECK (session IS NOT NULL) REFERENCES sessions (key));"
        "INSERT INTO paid VALUES ('key-0b')"
    ),
}


@pytest.mark.parametrize("room", [10**9, 0], ids=["room", "no room"])
@pytest.mark.parametrize("reason", STAY)
def test_where_they_cannot_be_left_out_they_stay_and_the_log_says_why(
    reason: str, room: int, linked: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed(linked, STAY[reason])
    before = dump(linked.database)
    room = room or linked.database.stat().st_size * 3 // 2
    with (
        caplog.at_level(logging.WARNING),
        mock.patch.object(files, "free_bytes", return_value=room),
    ):
        path = taken(linked, tmp_path)
    assert dump(path) == before == dump(linked.database)
    assert f"login sessions stay in the snapshot: {reason.strip()}" in caplog.text.replace(
        "copied.", "main."
    ).replace("compacted.", "main.")


@pytest.mark.parametrize(
    "script",
    [
        "CREATE VIEW sessions AS SELECT name AS key FROM items",
        "CREATE VIRTUAL TABLE sessions USING fts5 (key); INSERT INTO sessions VALUES ('key-0a')",
        "CREATE TABLE other (key)",
    ],
)
def test_what_is_not_a_table_of_rows_is_left_alone(script: str, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "row")
    changed(store, script)
    with closing(sqlite3.connect(store.database)) as connection:
        assert not has_rows(connection, ["sessions"])
    assert dump(taken(store, tmp_path)) == dump(store.database)


def test_names_are_compared_as_sqlite_does(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.with_sessions(store.database, "key-0a")
    store.site.sessions = ("SESSIONS",)
    assert KEY not in taken(store, tmp_path).read_bytes()


def test_table_whose_name_is_not_utf8_harms_no_snapshot(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.with_sessions(store.database, "key-0a")
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("CREATE TABLE odd1 (a)")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET name = CAST(x'6fff' AS TEXT),"
            " tbl_name = CAST(x'6fff' AS TEXT), sql = CAST(x'435245415445205441424c45206fff202861"
            "29' AS TEXT) WHERE name = 'odd1'"
        )
        connection.commit()
    assert b"row" in taken(store, tmp_path).read_bytes()


def test_backup_command_leaves_logins_out(site: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(site.database)) as connection, connection:
        connection.execute("INSERT INTO django_session VALUES ('key-0a', 'x', '2030-01-01')")
    for options, is_in_it in ((["--compact"], False), (["--no-compact"], True)):
        finished = site.manage("backup", "-o", str(tmp_path / "b.db"), "--force", *options)
        assert finished.code == 0, finished.err
        assert (KEY in (tmp_path / "b.db").read_bytes()) is is_in_it
