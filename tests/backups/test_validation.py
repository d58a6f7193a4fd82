"""The checks of an upload: each bad file gets its own error, and no file is changed by them."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups import exceptions
from backups.sqlite import validation
from backups.sqlite.validation import Contents, check_snapshot
from tests.backups import builders
from tests.backups.stand_ins import FakeRelease

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
    builders.newer: (exceptions.NewerSnapshotError, r"shop\.0003_from_the_future"),
    builders.missing_table: (exceptions.MissingTablesError, "prices"),
}


def check(path: Path, *, seconds: float = 60.0, historic: tuple[str, ...] = ()) -> Contents:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_snapshot(
            descriptor, path, seconds=seconds, release=FakeRelease(), historic=historic
        )
    finally:
        os.close(descriptor)


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


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("page_size", [1024, 4096])
def test_whole_snapshot_passes_and_gets_no_sidecars(
    journal_mode: str, page_size: int, tmp_path: Path
) -> None:
    path = builders.healthy(
        tmp_path / "x.db", "row", journal_mode=journal_mode, page_size=page_size
    )
    before = builders.folder(tmp_path)
    contents = check(path)
    assert contents.migrations == builders.MIGRATIONS
    assert contents.tables >= {"owners", "items", "prices", "django_migrations"}
    assert builders.folder(tmp_path) == before


def test_older_snapshot_passes(tmp_path: Path) -> None:
    contents = check(builders.older(tmp_path / "x.db"))
    assert contents.migrations == ("shop.0001_initial",)


def test_migration_that_the_live_database_had_too_is_known(tmp_path: Path) -> None:
    check(builders.newer(tmp_path / "x.db"), historic=("shop.0003_from_the_future",))


def test_path_that_is_no_plain_word_is_checked_all_the_same(tmp_path: Path) -> None:
    check(builders.healthy(tmp_path / "50% of? the #tasks;mode=rw & ü.db"))


def test_name_of_a_table_that_is_no_text_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO django_migrations (app, name) VALUES (x'ff', x'00fe')")
        connection.commit()
    with pytest.raises(exceptions.NewerSnapshotError):
        check(path)


def test_check_is_stopped_at_its_time_limit(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with pytest.raises(exceptions.CheckTimedOutError, match=r"within 0\.001 seconds"):
        check(path, seconds=0.001)


def test_child_that_is_killed_is_damage_and_not_a_crash_of_ours(tmp_path: Path) -> None:
    path = builders.large(tmp_path / "x.db")
    run = subprocess.run

    def kill_it(arguments: list[str], **options: object) -> "subprocess.CompletedProcess[bytes]":
        """Let the real child be killed by its first instruction."""
        script = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
        return run([sys.executable, "-c", script, *arguments[3:]], **options)  # type: ignore[call-overload, no-any-return]

    with (
        mock.patch("backups.child.subprocess.run", kill_it),
        pytest.raises(exceptions.DamagedSnapshotError, match=f"signal {signal.SIGSEGV:d}"),
    ):
        check(path)


def test_child_that_says_nothing_is_damage(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    nothing = subprocess.CompletedProcess[bytes]([], 0, b"", b"")
    with (
        mock.patch.object(validation, "run_module", return_value=nothing),
        pytest.raises(exceptions.DamagedSnapshotError, match="printed nothing"),
    ):
        check(path)


def test_verdict_counts_where_the_exit_code_was_lost(tmp_path: Path) -> None:
    """As it is for a child of gunicorn's master, which reaps whatever ends while it reloads."""
    path = builders.healthy(tmp_path / "x.db")
    reaper = threading.Event()
    wait = os.waitpid

    def lost(pid: int, options: int) -> tuple[int, int]:
        wait(pid, options)
        reaper.set()
        raise ChildProcessError

    with mock.patch("os.waitpid", lost), mock.patch.object(subprocess, "_USE_POSIX_SPAWN", False):
        assert check(path).migrations == builders.MIGRATIONS
    assert reaper.is_set()


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
