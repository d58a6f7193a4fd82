"""The checks of an upload: each bad file gets its own error, and no file is changed by them."""

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from unittest import mock

import pytest

from backups import exceptions
from backups.disk import files
from backups.processes import memory
from backups.sqlite.checking.check import look_into
from backups.sqlite.checking.messages import SHARED_FROM
from tests.backups import builders
from tests.backups.sqlite.checking.checked import check
from tests.backups.stand_ins import FakeSite
from tests.backups.stores import new_store

BAD: dict[Callable[[Path], Path], tuple[type[exceptions.InvalidSnapshotError], str]] = {
    builders.empty: (exceptions.NotADatabaseError, "empty"),
    builders.text: (exceptions.NotADatabaseError, "not a SQLite database"),
    builders.truncated: (exceptions.WrongLengthError, "cut off"),
    builders.torn: (exceptions.WrongLengthError, "cut off"),
    builders.trailing_bytes: (exceptions.WrongLengthError, "longer"),
    builders.scribbled_page: (exceptions.DamagedSnapshotError, "integrity check"),
    builders.bad_schema: (exceptions.DamagedSnapshotError, "SQLite can't read it"),
    builders.broken_reference: (
        exceptions.BrokenReferencesError,
        "row 1 of items refers to a row of owners that is not there",
    ),
    builders.foreign: (exceptions.ForeignDatabaseError, "not one of this site"),
    builders.other_migrations: (
        exceptions.ForeignDatabaseError,
        "its table django_migrations lacks the column app",
    ),
    builders.broken_check: (exceptions.DamagedSnapshotError, "CHECK constraint failed in grades"),
    builders.no_migration: (
        exceptions.ForeignDatabaseError,
        "its table django_migrations is empty",
    ),
    builders.odd_counter: (
        exceptions.DamagedSnapshotError,
        "a table sqlite_sequence that is not written as SQLite writes it",
    ),
    builders.unknown_function: (
        exceptions.UnknownFunctionError,
        r"uses the function harm, which the check does not know",
    ),
    builders.name_that_is_no_text: (exceptions.DamagedSnapshotError, "is not UTF-8"),
    builders.lost_counter: (
        exceptions.DamagedSnapshotError,
        "no usable table sqlite_sequence, which grades needs",
    ),
    builders.newer: (exceptions.NewerSnapshotError, r"shop\.0003_from_the_future"),
    builders.missing_table: (exceptions.MissingTablesError, "prices"),
}


TRIGGER = "CREATE TRIGGER evil AFTER INSERT ON items BEGIN DELETE FROM items; END"


@pytest.mark.parametrize("build", BAD, ids=lambda build: build.__name__)
def test_each_bad_file_has_an_error_of_its_own(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = build(tmp_path / "x.db")
    before = builders.folder(tmp_path)
    error, message = BAD[build]
    with pytest.raises(exceptions.InvalidSnapshotError, match=message) as caught:
        check(path)
    assert type(caught.value) is error
    assert builders.folder(tmp_path) == before


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
def test_whole_snapshot_passes_byte_for_byte_without_sidecars(
    page_size: int, tmp_path: Path
) -> None:
    path = builders.healthy(tmp_path / "x.db", "row", page_size=page_size)
    before = builders.folder(tmp_path)
    contents = check(path)
    assert contents.migrations == builders.MIGRATIONS
    assert contents.tables["items"] == {"id", "name", "owner"}
    assert contents.tables.keys() >= {"owners", "items", "prices", "django_migrations"}
    assert (contents.changed, contents.cleared) == (False, 0)
    assert builders.folder(tmp_path) == before


def test_snapshot_in_wal_mode_passes_and_is_one_file_from_then_on(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db", "row", journal_mode="wal")
    before = path.read_bytes()
    assert check(path).changed
    assert builders.folder(tmp_path) == {"x.db": before[:18] + b"\1\1" + before[20:]}
    assert builders.names(path) == ["row"]
    assert list(builders.folder(tmp_path)) == ["x.db"]


def test_older_snapshot_passes(tmp_path: Path) -> None:
    contents = check(builders.older(tmp_path / "x.db"))
    assert contents.migrations == ("shop.0001_initial",)


def test_migration_that_the_live_database_had_too_is_known(tmp_path: Path) -> None:
    check(builders.newer(tmp_path / "x.db"), historic=("shop.0003_from_the_future",))


def test_path_that_is_no_plain_word_is_checked_all_the_same(tmp_path: Path) -> None:
    check(builders.healthy(tmp_path / "50% of? the #tasks;mode=rw & ü.db"))


def test_name_of_a_migration_that_is_no_text_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO django_migrations (app, name) VALUES (x'ff', x'00fe')")
        connection.commit()
    with pytest.raises(exceptions.DamagedSnapshotError, match="not text"):
        check(path)


def test_view_that_poses_as_the_table_of_migrations_is_not_asked(tmp_path: Path) -> None:
    path = builders.foreign(tmp_path / "x.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE VIEW django_migrations AS WITH RECURSIVE endless (id, app, name) AS"
            " (SELECT 1, 'shop', '' UNION ALL SELECT id + 1, app, name FROM endless)"
            " SELECT * FROM endless"
        )
    with pytest.raises(exceptions.ForeignDatabaseError):
        check(path)


# What another application's is


@pytest.mark.parametrize(
    "statement", ["SELECT 1", "CREATE TABLE django_migrations (id, app, name)"]
)
def test_a_database_that_the_site_knows_is_refused_with_what_to_do(
    statement: str, tmp_path: Path
) -> None:
    path = builders.foreign(tmp_path / "x.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE Fruit (name TEXT)")
        connection.execute(statement)
    with pytest.raises(exceptions.ForeignDatabaseError) as caught:
        check(path)
    assert str(caught.value).endswith(". It is full of fruit.")
    assert caught.value.hint == "Nothing was staged."


def test_nobody_is_asked_to_recognise_a_snapshot_of_this_site(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with mock.patch.object(FakeSite, "recognise", side_effect=AssertionError):
        assert check(path).migrations == builders.MIGRATIONS
    with (
        mock.patch.object(FakeSite, "recognise", side_effect=AssertionError),
        pytest.raises(exceptions.NewerSnapshotError),
    ):
        check(builders.newer(tmp_path / "newer.db"))


# What is cleared


@pytest.fixture
def with_sessions(tmp_path: Path) -> Path:
    return builders.with_sessions(tmp_path / "x.db", "secret-one", "secret-two")


def test_sessions_are_removed_without_a_trace(with_sessions: Path, tmp_path: Path) -> None:
    contents = check(with_sessions, clear=("sessions", "not_there"))
    assert (contents.cleared, contents.changed) == (2, True)
    assert b"secret" not in with_sessions.read_bytes()
    assert list(builders.folder(tmp_path)) == ["x.db"]
    with closing(sqlite3.connect(with_sessions)) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert builders.names(with_sessions) == ["row"]


def test_nothing_is_removed_unless_it_is_asked_for(with_sessions: Path) -> None:
    before = with_sessions.read_bytes()
    assert check(with_sessions).cleared == 0
    assert with_sessions.read_bytes() == before


def test_empty_table_of_sessions_is_left_as_it_is(tmp_path: Path) -> None:
    path = builders.with_sessions(tmp_path / "x.db")
    before = path.read_bytes()
    assert not check(path, clear=("sessions",)).changed
    assert path.read_bytes() == before


def test_many_sessions_are_removed_from_a_file_that_grows_smaller(tmp_path: Path) -> None:
    """With auto-vacuum the pages are given back, and the header says so."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum=FULL")
    builders.with_sessions(path, *(f"{number:0200}" for number in range(5000)))
    before = path.stat().st_size
    assert check(path, clear=("sessions",)).cleared == 5000
    assert path.stat().st_size < before / 2


@pytest.mark.parametrize("body", ["SELECT 1", "DELETE FROM items", "SELECT RAISE(IGNORE)"])
def test_trigger_on_the_sessions_does_not_run(body: str, with_sessions: Path) -> None:
    with closing(sqlite3.connect(with_sessions)) as connection:
        connection.execute(f"CREATE TRIGGER evil BEFORE DELETE ON sessions BEGIN {body}; END")
    if hasattr(sqlite3.Connection, "setconfig"):  # it is off, and the rows go all the same
        contents = check(with_sessions, clear=("sessions",))
        assert contents.cleared > 0
        assert [str(each) for each in contents.programs] == ["trigger evil"]
    else:
        with pytest.raises(exceptions.UnknownSchemaError, match="its login sessions, evil, which"):
            check(with_sessions, clear=("sessions",))
    assert builders.names(with_sessions) == ["row"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW sessions AS SELECT 1 AS key",
        "CREATE VIRTUAL TABLE sessions USING fts5 (key)",
    ],
)
def test_what_poses_as_the_sessions_is_not_touched(sql: str, tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db", "row")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.execute(
            "CREATE TRIGGER evil INSTEAD OF DELETE ON sessions BEGIN DELETE FROM items; END"
        ) if "VIEW" in sql else None
    before = path.read_bytes()
    contents = check(path, clear=("sessions",))
    assert contents.cleared == 0
    assert "sessions" in {program.name for program in contents.programs}
    assert path.read_bytes() == before


# The account


def test_account_is_looked_for_by_its_name(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO owners (name) VALUES ('ann')")
        connection.commit()
    assert not check(path).account_is_missing
    assert not check(path, account="ann").account_is_missing
    assert check(path, account="Ann' OR 1=1 --").account_is_missing


# Hostile files: each is refused for what it is, and by the limit that is meant for it


def changed(path: Path, script: str) -> Path:
    """A healthy database after a script."""
    path.write_bytes(builders.healthy(path.with_suffix(".good"), "row").read_bytes())
    path.with_suffix(".good").unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.commit()
    return path


def test_time_limit_ends_what_sqlite_would_do_for_hours(tmp_path: Path) -> None:
    """One call of instr(), in which SQLite looks at no clock."""
    path = changed(
        tmp_path / "x.db",
        "CREATE TABLE t (a CHECK (NOT instr(hex(zeroblob(a)), hex(zeroblob(a / 2)) || 'x')));"
        " PRAGMA ignore_check_constraints=ON; INSERT INTO t VALUES (10000000)",
    )
    began = time.monotonic()
    with pytest.raises(exceptions.CheckTimedOutError, match="within 1 seconds"):
        check(path, seconds=1)
    assert time.monotonic() - began < 10


def test_memory_limit_ends_what_would_take_all_of_it(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "x.db",
        "CREATE TABLE t (a CHECK (length(hex(zeroblob(a))) > 0));"
        " PRAGMA ignore_check_constraints=ON; INSERT INTO t VALUES (490000000)",
    )
    with pytest.raises(exceptions.CheckOutOfMemoryError, match=r"more than 1,0\d\d MiB of address"):
        check(path)
    with (  # a machine that allows less than we do
        mock.patch("backups.processes.limits.address_space", return_value=1024**3),
        pytest.raises(exceptions.ChildFailedError, match=r"1,0\d\d MiB .*\(ulimit -v\)"),
    ):
        check(path)


LARGE_KEY = """
    CREATE TABLE keyed (a, PRIMARY KEY (a)) WITHOUT ROWID;
    INSERT INTO keyed VALUES (zeroblob(90000000)), (zeroblob(90000001));
"""


LARGE_EXPRESSION = """
    CREATE TABLE t (a); INSERT INTO t VALUES (1);
    PRAGMA writable_schema=ON;
    CREATE INDEX i ON t (a);
    UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (length(zeroblob(900000000) || a))'
        WHERE name = 'i';
"""


GENERATED = """
    CREATE TABLE t (a, b AS (zeroblob(a)) CHECK (length(b || b) > 0));
    PRAGMA ignore_check_constraints=ON; INSERT INTO t (a) VALUES (400000000);
"""


CHECKED = ", ".join(f"column_{number} CHECK (column_{number} > 0)" for number in range(900))


LARGE_SCHEMA = "; ".join(f"CREATE TABLE t{number} ({CHECKED})" for number in range(500))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(LARGE_KEY, marks=pytest.mark.proof),
        LARGE_EXPRESSION,
        GENERATED,
        pytest.param(LARGE_SCHEMA, marks=pytest.mark.proof),
    ],
    ids=["key", "expression", "generated", "schema"],
)
def test_whatever_wants_memory_ends_with_a_sentence(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "most", memory.LEAST)
    path = changed(tmp_path / "x.db", f"PRAGMA synchronous=OFF; {script}")
    with pytest.raises(exceptions.CheckOutOfMemoryError, match=r"more than 1\d\d MiB") as refused:
        check(path)
    assert "BACKUPS_CHECK_MEMORY_BYTES" in refused.value.hint


@pytest.mark.proof
def test_long_row_passes_with_the_memory_that_there_is_by_default(tmp_path: Path) -> None:
    assert check(builders.long_row(tmp_path / "x.db", 100_000_000))


def test_long_list_of_names_is_refused_before_the_caller_holds_it(tmp_path: Path) -> None:
    columns = ", ".join(f'"{n}{"x" * 400}"' for n in range(1900))
    tables = "; ".join(f"CREATE TABLE t{n} ({columns})" for n in range(25))
    with pytest.raises(exceptions.DamagedSnapshotError, match="list of migrations is too long"):
        check(changed(tmp_path / "x.db", tables))


@pytest.mark.parametrize("rows", [1, 1000])
def test_migration_that_is_recorded_often_is_told_once(rows: int, tmp_path: Path) -> None:
    path = changed(
        tmp_path / "x.db",
        "INSERT INTO django_migrations (app, name) VALUES "
        + ", ".join(["('shop', '0001_initial')"] * rows),
    )
    assert check(path).migrations == builders.MIGRATIONS


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE grades AS SELECT 1",
        "CREATE TABLE grades (a); CREATE TABLE other (b)",
        "CREATE TABLE grades (a)' || char(0) || '",
    ],
)
def test_schema_that_is_more_than_a_table_is_refused(sql: str, tmp_path: Path) -> None:
    path = changed(
        tmp_path / "x.db",
        "CREATE TABLE grades (a); PRAGMA writable_schema=ON;"
        f" UPDATE sqlite_schema SET sql = '{sql}' WHERE name = 'grades'",
    )
    with pytest.raises(exceptions.DamagedSnapshotError):
        check(path)


@pytest.mark.parametrize(
    "sql",
    [
        f"'{TRIGGER.replace(' TRIGGER', chr(0x20) + chr(0xFEFF) + 'TRIGGER')}'",
        f"x'{TRIGGER.encode().hex()}'",
    ],
    ids=["behind U+FEFF", "a BLOB"],
)
def test_trigger_that_no_pattern_sees_is_refused(sql: str, tmp_path: Path) -> None:
    """SQLite takes both for what they are: each insert of an item removes them all."""
    path = changed(
        tmp_path / "x.db",
        "PRAGMA writable_schema=ON;"
        f" INSERT INTO sqlite_schema VALUES ('trigger', 'evil', 'items', 0, {sql})",
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO items (name) VALUES ('row')")
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)
        connection.rollback()
    with pytest.raises(exceptions.DamagedSnapshotError, match="a trigger evil that is not written"):
        check(path)


def test_generated_column_is_computed_to_its_end(tmp_path: Path) -> None:
    """SQLite's check does not compute it: the site's first query would be the one to wait."""
    rows = ", ".join(["(100000000)"] * 300)
    script = f"CREATE TABLE slow (size, bytes AS (length(size))); INSERT INTO slow VALUES {rows}"
    whole = check(changed(tmp_path / "quick.db", script))
    assert whole.generated == {"slow": frozenset({"bytes"})}
    forged = (
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema"
        " SET sql = replace(sql, 'length(size)', 'length(hex(zeroblob(size)))') WHERE name = 'slow'"
    )
    with pytest.raises(exceptions.CheckTimedOutError):
        check(changed(tmp_path / "slow.db", f"{script}; {forged}"), seconds=1)


def test_row_that_a_generated_column_cannot_compute_is_the_site_s_own(tmp_path: Path) -> None:
    script = (
        "CREATE TABLE odd (a, b AS (-a)); INSERT INTO odd VALUES (-9223372036854775807 - 1);"
        " PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, '-a', 'abs(a)')"
        " WHERE name = 'odd'"
    )
    assert check(changed(tmp_path / "x.db", script)).migrations == builders.MIGRATIONS


def test_statement_of_a_megabyte_is_refused(tmp_path: Path) -> None:
    """SQLite's limits are set, so that no single part of a schema can be huge."""
    path = changed(tmp_path / "x.db", f"CREATE TABLE grades (a /* {'x' * 1_000_000} */)")
    with pytest.raises(exceptions.DamagedSnapshotError, match="too big"):
        check(path)


def test_sentence_from_the_file_is_short_and_on_one_line(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "x.db",
        f'CREATE TABLE "{"x" * 100_000}\n" (a REFERENCES owners (id)); INSERT INTO'
        f' "{"x" * 100_000}\n" VALUES (77)',
    )
    with pytest.raises(exceptions.BrokenReferencesError) as caught:
        check(path)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIRTUAL TABLE found USING fts5 (name); INSERT INTO found VALUES ('words')",
        "CREATE VIRTUAL TABLE found USING fts5 (name, content='items', content_rowid='id')",
        "CREATE VIRTUAL TABLE found USING rtree (id, x0, x1); INSERT INTO found VALUES (1, 2, 3)",
    ],
    ids=["full text", "full text of another table", "r-tree"],
)
def test_virtual_table_that_works_passes(sql: str, tmp_path: Path) -> None:
    """From SQLite 3.44 on the check looks into it."""
    contents = check(changed(tmp_path / "x.db", sql))
    assert [str(program) for program in contents.programs] == ["virtual table found"]


def test_index_on_a_function_of_the_site_passes(tmp_path: Path) -> None:
    path, module = tmp_path / "x.db", "django.db.backends.sqlite3._functions"
    register = import_module(module).register
    with closing(sqlite3.connect(path)) as connection:
        register(connection)
        builders.healthy(path, "row")
        connection.execute("CREATE INDEX hashed ON items (md5(name))")
        connection.execute("CREATE TABLE sums (code, sum AS (md5(code)) STORED)")
        connection.execute("CREATE TABLE codes (code CHECK (code REGEXP '^[A-Z]+$'))")
        connection.execute("INSERT INTO codes VALUES ('ABC')")
        connection.commit()
    with pytest.raises(exceptions.UnknownFunctionError, match=r"function (md5|regexp)"):
        check(path)
    with mock.patch.object(FakeSite, "functions", return_value=module):
        assert check(path).migrations == builders.MIGRATIONS
        with closing(sqlite3.connect(path)) as connection:
            register(connection)
            connection.execute("PRAGMA ignore_check_constraints=ON")
            connection.execute("INSERT INTO codes VALUES ('abc')")
            connection.commit()
        with pytest.raises(exceptions.DamagedSnapshotError, match="CHECK constraint failed"):
            check(path)


def test_sync_that_failed_is_not_forgotten_when_nothing_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells of it once; a later sync of the same file would succeed."""
    path = builders.healthy(tmp_path / "x.db", "row")

    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "sync", fails)
    descriptor = os.open(path, os.O_RDWR)
    try:
        with pytest.raises(OSError, match="Input/output error"):
            look_into(descriptor, path, seconds=60, site=FakeSite())
    finally:
        os.close(descriptor)


def test_log_names_what_only_integrity_check_can_decide(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = builders.large(tmp_path / "large.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ballast (a)")
        connection.execute("INSERT INTO ballast VALUES (zeroblob(?))", (SHARED_FROM,))
        connection.execute("CREATE TABLE keyed (a PRIMARY KEY) WITHOUT ROWID")
        connection.execute('CREATE TABLE "broken\x1b[2J" (a)')
        connection.execute('INSERT INTO "broken\x1b[2J" VALUES (NULL)')
        connection.commit()
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(a)', '(a NOT NULL)')"
            " WHERE name LIKE 'broken%'"
        )
        connection.commit()
    caplog.set_level("INFO", "backups")
    with pytest.raises(exceptions.DamagedSnapshotError, match="NULL value in broken"):
        check(path)
    assert [record.getMessage() for record in caplog.records] == [
        f"Check of {path}: only integrity_check can compare the indexes of keyed.",
        f"Check of {path}: the quicker check has a doubt, so integrity_check decides:"
        r" NULL value in broken\x1b[2J.a.",
    ]


def test_file_is_checked_as_a_restore_would_and_not_changed(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database)
    good = builders.healthy(tmp_path / "good.db")
    assert store.real.check_snapshot(good, is_own=True) == ()
    defective = builders.broken_reference(tmp_path / "defective.db")
    content = defective.read_bytes()
    for is_own in (True, False):
        (wrong,) = store.real.check_snapshot(defective, is_own=is_own)
        assert "1 defect: rows of items that refer to no row of owners (1)" in wrong
    assert defective.read_bytes() == content
    newer = builders.newer(tmp_path / "newer.db")
    assert store.real.check_snapshot(newer, is_own=False) == ()
    with pytest.raises(exceptions.InvalidSnapshotError):
        store.real.check_snapshot(newer, is_own=True)
    longer = builders.trailing_bytes(tmp_path / "longer.db")
    with pytest.raises(exceptions.WrongLengthError):
        store.real.check_snapshot(longer, is_own=True)
    with pytest.raises(exceptions.StoreFolderError, match="No such file"):
        store.real.check_snapshot(tmp_path / "missing.db", is_own=True)
