"""Snapshots as people upload them: good ones, large ones, and one of each bad kind."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.site import Site

NOW = "2026-11-23 10:00:00"


def add_tasks(database: Path, *names: str) -> None:
    """Add tasks by SQL, without the site; they are in the main file afterwards."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executemany(
            "INSERT INTO tasks (name, status, created_at, updated_at, is_fixed, is_archived)"
            f" VALUES (?, 'PENDING', '{NOW}', '{NOW}', 0, 0)",
            [(name,) for name in names],
        )
        connection.commit()


def add_ballast(database: Path, megabytes: int) -> None:
    """Make a database large: more than the buffers of any socket can hold."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE ballast (bytes BLOB)")
        connection.executemany("INSERT INTO ballast VALUES (randomblob(1000000))", [()] * megabytes)
        connection.commit()


def snapshot_of(site: Site, path: Path, *tasks: str, megabytes: int = 0) -> Path:
    """A good snapshot of a site that nobody serves, with some more tasks in it."""
    with closing(sqlite3.connect(site.database)) as live:
        live.execute("VACUUM INTO ?", (str(path),))
    add_tasks(path, *tasks)
    if megabytes:
        add_ballast(path, megabytes)
    return path


class Bad(NamedTuple):
    """A file that is to be refused: how to spoil a good one, and what the refusal says."""

    spoil: Callable[[Path], None]
    code: str
    sentence: str  # a pattern


def _sql(*statements: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return spoil


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _scribble(content: bytes) -> bytes:
    """Damage the middle of the file, page by page, and leave header and length as they are."""
    noise = random.Random(1).randbytes(4096)
    middle = len(content) // 2 // 4096 * 4096
    return content[:middle] + noise + content[middle + 4096 :]


def _another_application(path: Path) -> None:
    path.unlink()
    _sql("CREATE TABLE songs (title TEXT)", "INSERT INTO songs VALUES ('one')")(path)


def _unknown_collation(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("swedish", lambda one, other: (one > other) - (one < other))
        connection.execute("CREATE INDEX strange ON tasks (name COLLATE swedish)")


BAD = {
    "applied before what it depends on": Bad(
        _sql("DELETE FROM django_migrations WHERE app = 'auth' AND name = '0001_initial'"),
        "inconsistent_history",
        r"applied in it before auth\.0001_initial, which it depends on",
    ),
    "empty": Bad(_bytes(lambda _: b""), "not_a_database", r"The upload is empty \(0 bytes\)\."),
    "text": Bad(
        _bytes(lambda _: b"Dear operator,\nplease restore me.\n" * 10),
        "not_a_database",
        r"not a SQLite database: it does not begin with 'SQLite format 3'",
    ),
    "dump of PostgreSQL": Bad(
        _bytes(lambda _: b"PGDMP\x01\x0e\x00\x04\x08\x01" + bytes(5000)),
        "other_kind",
        r"This is a dump of a PostgreSQL database\. This site's database is SQLite in a file",
    ),
    "header alone": Bad(
        _bytes(lambda content: content[:16]), "not_a_database", r"not a SQLite database"
    ),
    "cut off at a page": Bad(
        _bytes(lambda content: content[:-4096]), "wrong_length", r"The file is cut off: .* bytes"
    ),
    "cut off in a page": Bad(
        _bytes(lambda content: content[:-1]), "wrong_length", r"The file is cut off: .* bytes"
    ),
    "trailing byte": Bad(
        _bytes(lambda content: content + b"\n"), "wrong_length", r"longer than it should be"
    ),
    "trailing page": Bad(
        _bytes(lambda content: content + bytes(4096)), "wrong_length", r"longer than it should be"
    ),
    "scribbled page": Bad(_bytes(_scribble), "damaged", r"fails SQLite's integrity check"),
    "broken reference": Bad(
        _sql(
            "PRAGMA foreign_keys=OFF",
            "INSERT INTO notes (task_id, content, created_at, updated_at)"
            f" VALUES (999, 'lost', '{NOW}', '{NOW}')",
        ),
        "broken_references",
        r"foreign key check: row 1 of notes refers to a row of tasks that is not there",
    ),
    "another application": Bad(
        _another_application, "foreign_database", r"has no table django_migrations"
    ),
    "newer release": Bad(
        _sql(f"INSERT INTO django_migrations VALUES (999, 'tasks', '0099_tomorrow', '{NOW}')"),
        "newer_release",
        r"does not know the migration tasks\.0099_tomorrow",
    ),
    "unknown schema": Bad(
        _sql("CREATE VIEW evil AS SELECT * FROM auth_user"),
        "unknown_schema",
        r"has the view evil, which this site's database does not have",
    ),
    "unknown collation": Bad(
        _unknown_collation, "unknown_function", r"uses the collation swedish, which the check"
    ),
    "all the memory": Bad(
        _sql(
            "CREATE TABLE greedy (a CHECK (length(hex(zeroblob(a))) > 0))",
            "PRAGMA ignore_check_constraints=ON",
            "INSERT INTO greedy VALUES (490000000)",
        ),
        "check_out_of_memory",
        r"needs more than 1,\d\d\d MiB of address space",
    ),
    "missing table": Bad(
        _sql("DROP TABLE notes"), "missing_tables", r"promise the table notes, which"
    ),
}
