"""Migrating a file that is not the live one, by Django itself in a child."""

import errno
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import pytest
from pytest_django import Settings

from backups.exceptions import MigrationStoppedError, RestoreBlockedError, RestoreRefusedError
from backups.processes import limits
from backups.processes.spawn import command
from backups.site.migrate import migrate_file
from backups.site.migrate_child import is_of_the_machine
from tests.backups.uploads import BAD
from tests.site import Site, copy_site

pytestmark = pytest.mark.proof  # each test starts processes of the whole site

CHANGE = """
DROP TABLE django_session;
DELETE FROM django_migrations WHERE app = 'sessions';
"""


@pytest.fixture
def older(template_site: Site, tmp_path: Path) -> Path:
    """A database of the site that lacks one migration."""
    path = copy_site(template_site, tmp_path / "site").database
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(CHANGE)
    moved = tmp_path / "50% of? the #tasks.db"
    moved.write_bytes(path.read_bytes())
    return moved


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


def test_file_is_brought_to_this_release_and_no_other_is_touched(older: Path, site: Site) -> None:
    before = site.files()
    assert "django_session" not in tables(older)
    migrate_file("default", older)
    assert "django_session" in tables(older)
    assert site.files() == before
    assert sorted(os.listdir(older.parent)) == sorted(["data", "site", older.name])


def test_failing_migration_is_refused_with_its_error(older: Path) -> None:
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("CREATE TABLE django_session (it_is_there_already)")
        connection.commit()
    with pytest.raises(RestoreRefusedError, match='table "django_session" already exists'):
        migrate_file("default", older)


@contextmanager
def child_that(does: str) -> Iterator[None]:
    """Let the child do this in place of its work."""
    program = f"import os, sys; os.write(1, b'started\\n'); {does}"
    with mock.patch(
        "backups.processes.spawn.command", return_value=[sys.executable, "-c", program]
    ):
        yield


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_migration_that_was_ended_from_outside_is_tried_again(number: int, older: Path) -> None:
    """A service manager that stops the site sends its signal to every process of it."""
    with (
        child_that(
            f"import signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), {number})"
        ),
        pytest.raises(RestoreBlockedError, match=f"ended with {-number}"),
    ):
        migrate_file("default", older)


ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
LARGE = "SELECT length(zeroblob(300000000) || 'x')"


def hide(path: Path, query: str) -> None:
    """Let the next migration run a query when it has come to its end."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            f"CREATE TRIGGER hidden AFTER INSERT ON django_migrations BEGIN {query}; END"
        )
        connection.commit()


@pytest.mark.parametrize(
    ("query", "setting", "value", "how"),
    [
        (ENDLESS, "SECONDS", 2, "did not end within 2 seconds"),
        (ENDLESS, "PROCESSOR_SECONDS", 1, "took more than 1 seconds of processor time"),
        (LARGE, "MEMORY_BYTES", 100_000_000, "need more than 100,000,000 bytes of memory"),
    ],
    ids=["clock", "processor", "memory"],
)
def test_migration_that_runs_out_of_something_names_what_and_the_setting(
    query: str, setting: str, value: int, how: str, older: Path, settings: Settings
) -> None:
    hide(older, query)
    setattr(settings, f"BACKUPS_MIGRATE_{setting}", value)
    with pytest.raises(MigrationStoppedError, match=how) as stopped:
        migrate_file("default", older)
    assert str(stopped.value).endswith(f"If they need more, raise BACKUPS_MIGRATE_{setting}.")


def test_migration_that_was_running_is_named(older: Path, settings: Settings) -> None:
    settings.BACKUPS_MIGRATE_SECONDS = 0.5
    said = "print('  Applying tasks.0002_it...', end='', file=sys.stderr, flush=True)"
    with (
        child_that(f"{said}; import time; time.sleep(60)"),
        pytest.raises(MigrationStoppedError, match=r"0\.5 seconds, in tasks\.0002_it\. If"),
    ):
        migrate_file("default", older)


def test_memory_within_the_limit_is_there(older: Path) -> None:
    hide(older, LARGE)
    migrate_file("default", older)
    assert "django_session" in tables(older)


@pytest.mark.parametrize(
    ("does", "what"),
    [
        ("os.kill(os.getpid(), 9)", "raise the memory of this machine"),
        ("os.kill(os.getpid(), 24)", "raise BACKUPS_MIGRATE_PROCESSOR_SECONDS"),
        ("os.write(2, b'terminate: std::bad_alloc'); os.abort()", "BACKUPS_MIGRATE_MEMORY_BYTES"),
    ],
)
def test_what_looks_like_a_shortage_is_not_put_down_to_the_snapshot(
    does: str, what: str, older: Path
) -> None:
    with child_that(does), pytest.raises(MigrationStoppedError, match=what):
        migrate_file("default", older)


@pytest.mark.parametrize(
    ("kind", "does", "limit"),
    [
        ("RLIMIT_CPU", "os.kill(os.getpid(), 24)", r"took 100 seconds .*ulimit -t"),
        ("RLIMIT_AS", "os.write(1, b'out of memory')", r"more memory than 1,000,000,000 .*-v"),
    ],
)
def test_lower_limit_of_the_service_is_named(
    kind: str, does: str, limit: str, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = {"RLIMIT_CPU": 100, "RLIMIT_AS": 10**9}[kind]
    monkeypatch.setattr(limits, "_soft", {kind: most}.get)
    with child_that(does), pytest.raises(MigrationStoppedError, match=limit):
        migrate_file("default", older)


def test_child_whose_parent_was_killed_ends_by_itself(older: Path) -> None:
    hide(older, ENDLESS)
    words = ["default", str(older), "-7", "60", "9999999999"]
    words = command("backups.site.migrate_child", *words, with_site=True)
    ended = subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b"Timeout (0:00:03)!" in ended.stderr


def test_migration_that_crashes_is_refused(older: Path) -> None:
    with (
        child_that(f"os.kill(os.getpid(), {signal.SIGSEGV:d})"),
        pytest.raises(RestoreRefusedError, match=f"ended with {-signal.SIGSEGV}"),
    ):
        migrate_file("default", older)


def test_migration_that_does_not_say_what_came_of_it_is_tried_again(older: Path) -> None:
    with child_that(""), pytest.raises(RestoreBlockedError, match="ended with 0"):
        migrate_file("default", older)


def test_site_that_cannot_be_set_up_is_no_fault_of_the_snapshot(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "no_such_settings")
    before = older.read_bytes()
    with pytest.raises(RestoreBlockedError, match="No module named 'no_such_settings'"):
        migrate_file("default", older)
    assert older.read_bytes() == before


def test_references_that_were_broken_before_do_not_fail_the_migrations(older: Path) -> None:
    """Django looks at those of the whole database after each migration."""
    BAD["broken reference"].spoil(older)
    migrate_file("default", older)
    assert "django_session" in tables(older)


def test_reference_to_a_column_without_a_key_does_not_fail_the_migrations(older: Path) -> None:
    with closing(sqlite3.connect(older)) as connection:
        connection.executescript(
            "CREATE TABLE likes (id INTEGER PRIMARY KEY, note REFERENCES notes (content));"
            " INSERT INTO likes (note) VALUES ('words')"
        )
    migrate_file("default", older)
    assert "django_session" in tables(older)


def test_reference_that_a_migration_breaks_fails_it(older: Path) -> None:
    BAD["broken reference"].spoil(older)
    with closing(sqlite3.connect(older)) as connection:
        connection.executescript(
            "CREATE TRIGGER breaks AFTER INSERT ON django_migrations BEGIN INSERT INTO notes"
            " (task_id, content, created_at, updated_at) VALUES (998, 'new', 'x', 'x'); END;"
            " DELETE FROM django_migrations WHERE app = 'auth' AND name > '0011';"
        )
    with pytest.raises(RestoreRefusedError, match="invalid foreign key"):
        migrate_file("default", older)


def test_file_that_is_gone_is_not_created(tmp_path: Path) -> None:
    """As it is when the process that wanted it was killed, and the next start swept its file."""
    with pytest.raises(RestoreBlockedError, match="unable to open database file"):
        migrate_file("default", tmp_path / "swept.db")
    assert os.listdir(tmp_path) == []


def test_full_disk_is_no_fault_of_the_snapshot(older: Path) -> None:
    """A limit on the size of files stands in for the disk: the child inherits it."""
    with (
        limited_file_size(4096),  # less than one page in the -wal
        pytest.raises(RestoreBlockedError, match="disk I/O error"),
    ):
        migrate_file("default", older)


@contextmanager
def limited_file_size(limit: int) -> Iterator[None]:
    """Let no file of this process and its children grow past this many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("error", "is_machine"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.ENOENT, "gone"), False),
        (MemoryError(), True),
        (ValueError("a bug in a migration"), False),
    ],
)
def test_what_the_machine_did_is_told_from_what_the_snapshot_did(
    error: Exception, is_machine: bool
) -> None:
    wrapped = RuntimeError("as Django wraps it")
    wrapped.__cause__ = error
    assert is_of_the_machine(error) is is_of_the_machine(wrapped) is is_machine
