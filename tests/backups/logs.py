"""A WAL database in every state that a write-ahead log can be in, held open as a site holds it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

Log = Callable[[Path, sqlite3.Connection], None]


def connect(database: Path) -> sqlite3.Connection:
    """A connection that checkpoints nothing of itself, and waits for no disk."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=20)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


@contextmanager
def database(
    path: Path, *pragmas: str, page_size: int = 4096, kilobytes: int = 300
) -> Iterator[sqlite3.Connection]:
    """A database of about that size, all in its main file, with free pages in its middle."""
    with closing(connect(path)) as connection:
        for pragma in (f"page_size={page_size}", *pragmas, "journal_mode=WAL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name, content BLOB)")
        connection.execute("CREATE INDEX items_by_name ON items (name)")
        add(connection, kilobytes)
        connection.execute("DELETE FROM items WHERE id % 10 = 3")
        checkpoint(connection, "TRUNCATE")
        yield connection


def add(connection: sqlite3.Connection, kilobytes: int) -> None:
    """Commit rows of a kilobyte each."""
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO items (name, content) VALUES (hex(randomblob(8)), randomblob(?))",
        [(960,)] * kilobytes,
    )
    connection.execute("COMMIT")


def rewrite(connection: sqlite3.Connection) -> None:
    """Change every row, in one transaction."""
    connection.execute("UPDATE items SET content = randomblob(960), name = hex(randomblob(8))")


def checkpoint(connection: sqlite3.Connection, mode: str = "PASSIVE") -> tuple[int, int, int]:
    """As the pragma answers: whether it was blocked, frames in the WAL, and frames copied."""
    busy, frames, copied = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return busy, frames, copied


# The states


def empty(path: Path, connection: sqlite3.Connection) -> None:
    """There is no byte in the log."""
    assert path.with_name(path.name + "-wal").stat().st_size == 0


def hot(path: Path, connection: sqlite3.Connection) -> None:
    """Nothing of it is in the main file."""
    add(connection, 100)
    connection.execute("UPDATE items SET content = randomblob(960) WHERE id % 7 = 0")


def backfilled(path: Path, connection: sqlite3.Connection) -> None:
    """Everything of it is in the main file, and it has not been begun anew."""
    hot(path, connection)
    busy, frames, copied = checkpoint(connection)
    assert (busy, copied) == (0, frames) != (0, 0)


def half_backfilled(path: Path, connection: sqlite3.Connection) -> None:
    """A reader has kept a checkpoint from going on."""
    hot(path, connection)
    with closing(connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items").fetchone()
        connection.execute("UPDATE items SET content = randomblob(960) WHERE id % 3 = 0")
        _, frames, copied = checkpoint(connection)
        assert 0 < copied < frames


def restarted(path: Path, connection: sqlite3.Connection) -> None:
    """It was begun anew: after the newest frames are old ones, of pages that have newer content."""
    backfilled(path, connection)
    size = path.with_name(path.name + "-wal").stat().st_size
    connection.execute("UPDATE items SET content = randomblob(960) WHERE id = 5")
    assert path.with_name(path.name + "-wal").stat().st_size == size


def rolled_back(path: Path, connection: sqlite3.Connection) -> None:
    """After the last commit are frames of a transaction that was none in the end."""
    hot(path, connection)
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN")
    rewrite(connection)
    connection.execute("ROLLBACK")


def uncommitted(path: Path, connection: sqlite3.Connection) -> None:
    """After the last commit are frames of a transaction that is at work."""
    hot(path, connection)
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN")
    rewrite(connection)


def shrunk(path: Path, connection: sqlite3.Connection) -> None:
    """The database has become smaller, and the main file has not."""
    connection.execute("DELETE FROM items WHERE id % 4 = 0")
    connection.execute("VACUUM")
    assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


def larger_than_the_database(path: Path, connection: sqlite3.Connection) -> None:
    """Every page is in it, many times."""
    for _ in range(8):
        rewrite(connection)
    assert path.with_name(path.name + "-wal").stat().st_size > 3 * path.stat().st_size


def freed(path: Path, connection: sqlite3.Connection) -> None:
    """The database has become larger, and the pages at its end are free again."""
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE passing (content)")
    connection.executemany("INSERT INTO passing VALUES (randomblob(?))", [(960,)] * 300)
    connection.execute("DROP TABLE passing")
    connection.execute("COMMIT")


STATES: dict[str, Log] = {
    state.__name__: state
    for state in (
        empty,
        hot,
        backfilled,
        half_backfilled,
        restarted,
        rolled_back,
        uncommitted,
        shrunk,
        larger_than_the_database,
        freed,
    )
}
