"""What a statement on an untrusted database can't do, and what this process can't any more."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backups.sqlite.checking.sandbox import NICENESS, Sandbox
from tests.backups import builders
from tests.backups.scripts import run_script


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    opened = Sandbox(builders.with_sessions(tmp_path / "x.db", "secret"), seconds=60)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'other.db'",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "INSERT INTO items (name) VALUES ('one more')",
        "UPDATE items SET name = 'another'",
        "DROP TABLE items",
        "PRAGMA journal_mode=WAL",
        "PRAGMA writable_schema=ON",
        "PRAGMA temp_store=FILE",
        "SELECT load_extension('evil.so')",
        "SELECT writefile('other.db', 'x')",
    ],
)
def test_statement_that_no_check_is_made_of_is_denied(sandbox: Sandbox, statement: str) -> None:
    with pytest.raises(sqlite3.DatabaseError, match=r"authoriz|no such function"):
        sandbox.connection.execute(statement).fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT name FROM items",
        "DELETE FROM sessions",
        "PRAGMA integrity_check(5)",
        "PRAGMA foreign_key_check",
        "PRAGMA table_xinfo(items)",
        "SELECT count(*), length(name) FROM items",  # as newer versions of SQLite do
        "PRAGMA data_version",
    ],
)
def test_statement_of_a_check_is_let_through(sandbox: Sandbox, statement: str) -> None:
    sandbox.connection.execute(statement).fetchall()
    assert sandbox.intruder == ""


def test_view_may_not_be_read_through(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db", "row")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW evil AS SELECT * FROM items")
    sandbox = Sandbox(path, seconds=60)
    with pytest.raises(sqlite3.DatabaseError, match=r"authoriz|prohibited"):
        sandbox.connection.execute("SELECT * FROM evil").fetchall()
    are_off = hasattr(sandbox.connection, "setconfig")  # then SQLite does not even look into it
    assert sandbox.intruder == ("" if are_off else "evil")
    sandbox.close()


def test_no_file_can_be_opened_beside_the_database(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="Too many open files"):
        os.open(os.devnull, os.O_RDONLY)
    sandbox.close()
    os.close(os.open(os.devnull, os.O_RDONLY))


def test_statement_is_interrupted_when_the_time_is_over(tmp_path: Path) -> None:
    sandbox = Sandbox(builders.healthy(tmp_path / "x.db"), seconds=0.2)
    long = (
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 30000000)"
        " SELECT sum(x) FROM n"
    )
    sandbox.connection.set_authorizer(None)  # else the recursion itself is denied
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        sandbox.connection.execute(long).fetchone()
    assert sandbox.is_late
    sandbox.close()


@pytest.mark.parametrize(
    ("work", "ending"),
    [
        (
            "os.write(os.open(path, os.O_WRONLY | os.O_APPEND), b'x')",
            "OSError: [Errno 27] File too large",
        ),
        ("bytearray(2 * 1024**3)", "MemoryError"),
        ("while True: pass", "signal 24"),
    ],
    ids=["file", "memory", "processor"],
)
def test_limit_on_the_process_holds(work: str, ending: str, tmp_path: Path) -> None:
    """The longest of them takes the second of processor time that a process may not go below."""
    path = builders.healthy(tmp_path / "x.db")
    script = f"""
        import os
        from backups.sqlite.checking import sandbox
        sandbox.SPARE_CPU_SECONDS = 0
        path = {str(path)!r}
        sandbox.limit_process(file_bytes={path.stat().st_size}, seconds=1)
        {work}
    """
    ended = run_script(script)
    assert ended.returncode != 0
    how = f"signal {-ended.returncode}" if ended.returncode < 0 else ended.stderr
    assert ending in how


@pytest.mark.parametrize("file_bytes", [4096, 2_000_000_000])
def test_memory_is_what_is_asked_for_however_long_the_file_is(file_bytes: int) -> None:
    script = f"""
        from pathlib import Path
        from backups.processes import limits
        from backups.sqlite.checking import sandbox
        before = limits.used_address_space()
        sandbox.limit_process(file_bytes={file_bytes}, seconds=1, memory_bytes=300_000_000)
        print(limits.address_space() - before)
        print(Path("/proc/self/oom_score_adj").read_text())
    """
    memory_bytes, first_to_go = map(int, run_script(script).stdout.split())
    assert memory_bytes == 300_000_000
    assert first_to_go == 1000


@pytest.mark.parametrize("nicer", [0, 3, 10])
def test_check_lets_others_go_before_it(nicer: int) -> None:
    script = f"""
        import os
        from backups.sqlite.checking import sandbox
        before = os.nice({nicer})
        sandbox.limit_process(file_bytes=1000, seconds=60)
        print(before, os.nice(0))
    """
    ended = run_script(script)
    assert ended.returncode == 0
    before, after = map(int, ended.stdout.split())
    assert after == max(before, NICENESS)
