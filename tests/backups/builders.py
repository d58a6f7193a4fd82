"""
Databases to test with: whole ones, ones that a killed process left, and every kind of bad one.

The schema is a small site of its own: owners, items that refer to them, and Django's table of
migrations. A hot WAL or journal is made by a real process that is killed with ``kill -9``.
"""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from backups.sqlite.records.manifest import Manifest
from tests.standard_sqlite import dump

MIGRATIONS = ("shop.0001_initial", "shop.0002_prices")
PAGE_BYTES = 4096


# Whole databases


def healthy(
    path: Path, *names: str, journal_mode: str = "delete", page_size: int = PAGE_BYTES
) -> Path:
    """A database of this release, with these items; one file, whatever its journal mode."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.executescript(
            """
            CREATE TABLE owners (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE items (
                id INTEGER PRIMARY KEY, name TEXT NOT NULL, owner INTEGER REFERENCES owners (id)
            );
            CREATE INDEX items_by_name ON items (name);
            CREATE TABLE django_migrations (
                id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT
            );
            INSERT INTO django_migrations (app, name) VALUES ('shop', '0001_initial');
            """
        )
        add_prices(connection)
        add(connection, *names)
    return path


def add_prices(connection: sqlite3.Connection) -> None:
    """What the second migration does."""
    connection.execute("CREATE TABLE prices (id INTEGER PRIMARY KEY, item INTEGER, cents INTEGER)")
    connection.execute("INSERT INTO django_migrations (app, name) VALUES ('shop', '0002_prices')")


def add(connection: sqlite3.Connection, *names: str) -> None:
    """Commit these items."""
    connection.executemany("INSERT INTO items (name) VALUES (?)", [(name,) for name in names])
    connection.commit()


def older(path: Path, *names: str) -> Path:
    """A database that lacks the second migration."""
    return _changed(
        healthy(path, *names),
        "DROP TABLE prices; DELETE FROM django_migrations WHERE name = '0002_prices';",
    )


def with_format(path: Path, pragma: str, *names: str) -> Path:
    """The same as ``healthy``, in a file of another format."""
    plain = healthy(path.with_name(f"{path.name}.plain"), *names)
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(plain)) as source:
        connection.execute(pragma)
        connection.executescript("\n".join(dump(source)))
    plain.unlink()
    return path


def large(path: Path, *names: str, rows: int = 20_000) -> Path:
    """A database of some megabytes, so that to copy it takes a while."""
    healthy(path, *names)
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO owners (name) VALUES (?)", ((f"{n:0300}",) for n in range(rows))
        )
        connection.commit()
    return path


def unindexed(path: Path) -> Path:
    """A database with a wrong entry in an index: ``quick_check`` counts the entries at most."""
    healthy(path, "row")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO owners (name) VALUES ('somebody')")
        connection.execute("CREATE INDEX some_names ON owners (name)")
        connection.commit()
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE INDEX some_names ON owners (id)'"
            " WHERE name = 'some_names'"
        )
        connection.commit()
    return path


def with_sessions(path: Path, *keys: str) -> Path:
    """A database in which somebody is logged in."""
    healthy(path, "row")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sessions (key TEXT PRIMARY KEY, expires TEXT)")
        connection.execute("CREATE INDEX sessions_by_time ON sessions (expires)")
        connection.executemany("INSERT INTO sessions VALUES (?, ?)", [(key, key) for key in keys])
        connection.commit()
    return path


# Databases that a killed process left


def hot_wal(path: Path, *names: str, in_main: tuple[str, ...] = ()) -> Path:
    """In WAL mode; ``names`` were committed, and are in the WAL only."""
    healthy(path, *in_main, journal_mode="wal")

    def write() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        add(connection, *names)
        return connection

    in_killed_process(write)
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    return path


def hot_journal(path: Path, *names: str) -> Path:
    """In DELETE mode; a transaction had written to the main file when its process was killed."""
    healthy(path, *names)

    def write() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA cache_size=1")  # so that it writes before it commits
        connection.execute("BEGIN")
        connection.execute("UPDATE items SET name = 'never committed'")
        for number in range(300):
            connection.execute("INSERT INTO items (name) VALUES (?)", (f"{number:0500}",))
        return connection

    in_killed_process(write)
    assert path.with_name(path.name + "-journal").stat().st_size > 0
    return path


def persistent_journal(path: Path, *names: str) -> Path:
    """Written in PERSIST mode, which leaves a journal that is not hot beside the database."""
    healthy(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=PERSIST")
        add(connection, *names or ("persisted",))
    assert path.with_name(path.name + "-journal").stat().st_size > 0
    return path


def orphan_wal(path: Path, *names: str) -> Path:
    """A hot WAL whose main file was deleted."""
    hot_wal(path, *names).unlink()
    return path


def ruined(path: Path) -> Path:
    """Its first page is overwritten, and there is a WAL beside it."""
    hot_wal(path, "lost")
    path.with_name(path.name + "-shm").unlink()
    wal = path.with_name(path.name + "-wal")
    content = bytearray(wal.read_bytes())
    content[32:] = os.urandom(len(content) - 32)  # no frame of it is valid any more
    wal.write_bytes(content)
    path.write_bytes(b"\xde\xad\xbe\xef" * (path.stat().st_size // 4))
    return path


def in_killed_process(work: Callable[[], object]) -> None:
    """Let a process do this, and kill it with ``kill -9`` while what is returned is open."""
    pid = os.fork()
    if pid == 0:
        try:
            _open = work()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the process ended before it could be killed"


# What a start may find, each with the item 'old' where it can hold one

STATES: dict[str, Callable[[Path], object]] = {
    "clean": lambda live: healthy(live, "old"),
    "clean WAL": lambda live: healthy(live, "old", journal_mode="wal"),
    "hot WAL": lambda live: hot_wal(live, "old"),
    "hot journal": lambda live: hot_journal(live, "old"),
    "persistent journal": lambda live: persistent_journal(live, "old"),
    "missing": lambda live: None,
    "orphan WAL": lambda live: orphan_wal(live, "old"),
    "zero bytes": lambda live: empty(live),
    "ruined": lambda live: ruined(live),
}
READABLE = ("clean", "clean WAL", "hot WAL", "hot journal", "persistent journal")


# Bad files


def empty(path: Path) -> Path:
    """Zero bytes, which SQLite itself takes for a database."""
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    """No database at all."""
    path.write_text("Dear diary, " * 1000)
    return path


def truncated(path: Path) -> Path:
    """Its last page is missing."""
    healthy(path, "cut off")
    os.truncate(path, path.stat().st_size - PAGE_BYTES)
    return path


def torn(path: Path) -> Path:
    """Cut off in the middle of a page."""
    healthy(path, "torn")
    os.truncate(path, path.stat().st_size - 100)
    return path


def trailing_bytes(path: Path) -> Path:
    """Something was appended, which SQLite itself does not mind."""
    healthy(path, "longer")
    with path.open("ab") as end:
        end.write(b"<html>")
    return path


def scribbled_page(path: Path) -> Path:
    """A page of its index is overwritten; its header and its length are right."""
    healthy(path, *(f"item {number}" for number in range(500)))
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'items_by_name'"
        ).fetchone()
    with path.open("r+b") as content:
        content.seek((page - 1) * PAGE_BYTES)
        content.write(b"\xff" * PAGE_BYTES)
    return path


def bad_schema(path: Path) -> Path:
    """SQLite can open it, and read nothing in it."""
    return _changed(
        healthy(path),
        "PRAGMA writable_schema=ON;"
        " UPDATE sqlite_schema SET sql = 'CREATE TABEL' WHERE name = 'items';",
    )


def broken_reference(path: Path) -> Path:
    """An item refers to an owner that is not there."""
    return _changed(healthy(path), "INSERT INTO items (name, owner) VALUES ('stray', 77);")


def foreign(path: Path) -> Path:
    """Another application's database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT)")
    return path


def newer(path: Path) -> Path:
    """Made by a release that has one more migration."""
    return _changed(
        healthy(path),
        "INSERT INTO django_migrations (app, name) VALUES ('shop', '0003_from_the_future');",
    )


def missing_table(path: Path) -> Path:
    """Lacks a table that its migrations promise."""
    return _changed(healthy(path), "DROP TABLE prices;")


def other_migrations(path: Path) -> Path:
    """Its table of migrations is another framework's."""
    return _changed(
        healthy(path),
        "DROP TABLE django_migrations; CREATE TABLE django_migrations (id INTEGER, version TEXT);",
    )


def broken_check(path: Path) -> Path:
    """A row breaks a CHECK, at which SQLite looks only in a file that it may write."""
    return _changed(
        healthy(path),
        "CREATE TABLE grades (id INTEGER PRIMARY KEY AUTOINCREMENT, grade CHECK (grade > 0));"
        " PRAGMA ignore_check_constraints=ON; INSERT INTO grades (grade) VALUES (-1);",
    )


def lost_counter(path: Path) -> Path:
    """A table counts its rows, and the counter has another name; SQLite's check says nothing."""
    return _changed(
        healthy(path),
        "CREATE TABLE grades (id INTEGER PRIMARY KEY AUTOINCREMENT, grade);"
        " PRAGMA writable_schema=ON; UPDATE sqlite_schema SET name = 'counters',"
        " tbl_name = 'counters', sql = 'CREATE TABLE counters (name, seq)'"
        " WHERE name = 'sqlite_sequence';",
    )


def odd_counter(path: Path) -> Path:
    """The table of counters has a column too many, and no row can be added to what it counts."""
    return _changed(
        healthy(path),
        "CREATE TABLE grades (id INTEGER PRIMARY KEY AUTOINCREMENT, grade);"
        " PRAGMA writable_schema=ON; UPDATE sqlite_schema"
        " SET sql = 'CREATE TABLE sqlite_sequence (name, seq, x)' WHERE name = 'sqlite_sequence';",
    )


def unknown_function(path: Path) -> Path:
    """A column is made by a function that nobody knows; SQLite's check says nothing."""
    with closing(sqlite3.connect(healthy(path))) as connection:
        connection.create_function("harm", 1, lambda value: value, deterministic=True)
        connection.execute("CREATE TABLE grades (grade, fine AS (harm(grade)) STORED)")
    return path


def name_that_is_no_text(path: Path) -> Path:
    """The name of a table is no UTF-8, and neither Python nor Django can list the tables."""
    return _changed(
        healthy(path),
        "CREATE TABLE grades (a); PRAGMA writable_schema=ON; UPDATE sqlite_schema"
        " SET name = CAST(x'fffefd' AS TEXT), tbl_name = CAST(x'fffefd' AS TEXT),"
        " sql = CAST(x'435245415445205441424c452022fffefd2220286129' AS TEXT)"
        " WHERE name = 'grades';",
    )


def no_migration(path: Path) -> Path:
    """Not one migration was applied: all would run, over tables that are there."""
    return _changed(healthy(path), "DELETE FROM django_migrations;")


def long_row(path: Path, length: int) -> Path:
    """Whole, with one row so long, of which SQLite needs two copies to check its index."""
    return _changed(
        healthy(path),
        "PRAGMA synchronous=OFF; CREATE TABLE long (value); CREATE INDEX longest ON long (value);"
        f" INSERT INTO long VALUES (zeroblob({length}))",
    )


# Old defects, which SQLite can read past; each leaves the items readable


def _under_other_rules(path: Path, table: str, old: str, new: str, script: str) -> Path:
    """Run a script while the schema says something else than afterwards."""
    with closing(sqlite3.connect(path)) as connection:
        for one, other in ((old, new), (new, old)):
            connection.execute("PRAGMA writable_schema=ON")
            query = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?"
            assert connection.execute(query, (one, other, table)).rowcount == 1
            connection.commit()
            connection.execute("PRAGMA writable_schema=RESET")
            if one == old:
                connection.executescript(script)
    return path


def null_in_not_null(path: Path) -> Path:
    """An owner without a name, from before names were wanted."""
    script = "INSERT INTO owners (name) VALUES (NULL), (NULL), (NULL);"
    return _under_other_rules(healthy(path, "row"), "owners", "NOT NULL", "/* none */", script)


def old_parent(path: Path) -> Path:
    """Items refer to a table that has been renamed since, as an old Django left them."""
    _changed(healthy(path, "row"), "INSERT INTO owners VALUES (1, 'anna')")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'REFERENCES owners', 'REFERENCES"
            " owners__old') WHERE name = 'items'"
        )
        connection.commit()
        connection.execute("PRAGMA writable_schema=RESET")
        connection.execute("INSERT INTO items (name, owner) VALUES ('child', 1)")
        connection.commit()
    return path


def parent_without_key(path: Path) -> Path:
    """A table refers to a column that is not unique: SQLite can't look for the rows."""
    return _changed(
        healthy(path, "row"),
        "CREATE TABLE likes (id INTEGER PRIMARY KEY, name REFERENCES owners (name));"
        " INSERT INTO likes (name) VALUES ('anna');"
        " INSERT INTO items (name, owner) VALUES ('stray', 77);",
    )


def duplicates(path: Path) -> Path:
    """Two rows under one UNIQUE: its index was made when it was none."""
    _changed(
        healthy(path, "row"),
        "INSERT INTO owners (name) VALUES ('anna'), ('anna');"
        " CREATE INDEX owners_by_name ON owners (name);",
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'CREATE INDEX', 'CREATE UNIQUE INDEX')"
            " WHERE name = 'owners_by_name'"
        )
        connection.commit()
    return path


DEFECTS = (
    broken_reference,
    null_in_not_null,
    broken_check,
    old_parent,
    parent_without_key,
    unindexed,
    duplicates,
)


def slow_to_check(path: Path) -> Path:
    """Whole, but large enough that a check of it takes longer than a moment."""
    return large(path, rows=200_000)


def endless_to_check(path: Path, *, tables: int = 1) -> Path:
    """Tiny and whole, with CHECKs that SQLite computes for hours, in which it looks at no clock."""
    script = "PRAGMA ignore_check_constraints=ON;"
    for number in range(tables):
        script += (
            f" CREATE TABLE endless{number} (a PRIMARY KEY CHECK (NOT instr(hex(zeroblob(a)),"
            f" hex(zeroblob(a / 2)) || 'x'))) WITHOUT ROWID;"  # so it is a part of its own
            f" INSERT INTO endless{number} VALUES (10000000);"
        )
    return _changed(path if path.exists() else healthy(path), script)


def _changed(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.commit()
    return path


# What is in them


def names(path: Path) -> list[str]:
    """The items of a database that must be whole. Opening it recovers and checkpoints it."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
        return [name for (name,) in connection.execute("SELECT name FROM items ORDER BY id")]


def journal_mode(path: Path) -> str:
    """``wal`` or ``delete``, by the header alone: nothing is opened by SQLite."""
    return "wal" if path.read_bytes()[18:20] == b"\x02\x02" else "delete"


def folder(path: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, to compare before and after."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def manifest(snapshot: Path, sha256: str, *, staged_by: str = "tester") -> Manifest:
    """What staging would write about a snapshot."""
    size = snapshot.stat().st_size
    return Manifest(
        size=size,
        sha256=sha256,
        snapshot_size=size,
        snapshot_sha256=sha256,
        staged_at=datetime.now(UTC),
        staged_by=staged_by,
        migrations=MIGRATIONS,
    )


# Processes


@contextmanager
def forked(work: Callable[[IO[str], IO[str]], None]) -> Iterator[tuple[int, IO[str], IO[str]]]:
    """
    Run ``work(requests, answers)`` in a child; yields its pid and the other ends of both.

    The child is killed at the end of the block, if it has not ended.
    """
    down, up = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(down[1])
            os.close(up[0])
            with os.fdopen(down[0]) as requests, os.fdopen(up[1], "w", buffering=1) as answers:
                work(requests, answers)
        finally:
            os._exit(0)
    os.close(down[0])
    os.close(up[1])
    with os.fdopen(down[1], "w", buffering=1) as requests, os.fdopen(up[0]) as answers:
        try:
            yield pid, requests, answers
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
