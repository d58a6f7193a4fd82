"""
Which commit it is whose pages are read, when others commit between any two steps.

Each test is a process of its own, as the code under test wants one: it opens the live files.
"""

import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from backups.sqlite.format import wal_index
from backups.sqlite.format.connection import uri
from backups.sqlite.snapshots import page_reader
from backups.sqlite.snapshots.page_reader import ImpossibleError, Pages
from tests.backups import builders, logs
from tests.standard_sqlite import serialize


def alone(work: Callable[[], None]) -> None:
    """Do this in a process of its own; what it raises is raised here, as text."""

    def run(requests: Any, answers: Any) -> None:
        try:
            work()
        except BaseException:
            print(traceback.format_exc(), file=answers)
        else:
            print("done", file=answers)

    with builders.forked(run) as (_, _, answers):
        assert answers.read() == "done\n"


def open_pages(database: Path) -> Pages:
    """Take the database as it is now."""
    return Pages(uri(database), str(database))


def content_of(taken: Pages) -> bytes:
    """Every byte."""
    content = b""
    while len(content) < taken.size:
        file, position, length = taken.piece(len(content))
        content += os.pread(file, length, position)
    return content


def serialized(connection: sqlite3.Connection) -> bytes:
    """What SQLite reads, but for the mark of WAL mode."""
    content = bytearray(serialize(connection))
    content[18:20] = b"\1\1"
    return bytes(content)


@contextmanager
def between(step: str, *, after: bool, work: Callable[[], None], times: int) -> Iterator[list[int]]:
    """Do something before or after the first calls of a function; yields the calls."""
    real, calls = getattr(wal_index, step), list[int]()

    def called(index: int) -> object:
        calls.append(index)
        if not after and len(calls) <= times:
            work()
        answer = real(index)
        if after and len(calls) <= times:
            work()
        return answer

    with mock.patch.object(wal_index, step, called):
        yield calls


def commit(connection: sqlite3.Connection) -> None:
    """The least that a commit can be."""
    logs.add(connection, 1)


def begin_anew(connection: sqlite3.Connection) -> None:
    """Copy all that may be copied, and commit, at the beginning of the WAL if that may be."""
    logs.checkpoint(connection)
    logs.rewrite(connection)


@pytest.mark.parametrize("what", [commit, begin_anew])
@pytest.mark.parametrize(
    ("step", "after"),
    [("read_header", True), ("read_backfilled", False), ("read_backfilled", True)],
)
@pytest.mark.parametrize("state", ["hot", "backfilled", "half_backfilled", "restarted", "empty"])
def test_commit_between_two_steps_is_seen_and_it_is_tried_again(
    state: str,
    step: str,
    after: bool,
    what: Callable[[sqlite3.Connection], None],
    tmp_path: Path,
) -> None:
    def work() -> None:
        with logs.database(tmp_path / "tasks.db") as connection:
            logs.STATES[state](tmp_path / "tasks.db", connection)
            with between(step, after=after, work=lambda: what(connection), times=3) as calls:
                taken = open_pages(tmp_path / "tasks.db")
            assert len(calls) > 3
            expected = serialized(connection)
            for _ in range(3):
                begin_anew(connection)
            assert content_of(taken) == expected

    alone(work)


def test_commits_that_never_end_are_kept_out_for_a_moment(tmp_path: Path) -> None:
    """Each try meets a commit, until a write lock is taken, and then no more."""

    def work() -> None:
        with logs.database(tmp_path / "tasks.db") as connection:
            connection.execute("PRAGMA busy_timeout=0")
            refused = []

            def write() -> None:
                try:
                    commit(connection)
                except sqlite3.OperationalError as error:
                    refused.append(str(error))
                    connection.execute("ROLLBACK")

            with between("read_backfilled", after=True, work=write, times=1 << 30) as calls:
                taken = open_pages(tmp_path / "tasks.db")
            assert refused == ["database is locked"]
            assert len(calls) == page_reader.TRIES + 1
            expected = serialized(connection)
            commit(connection)
            assert content_of(taken) == expected

    alone(work)


def test_index_that_never_keeps_still_is_given_up(tmp_path: Path) -> None:
    """A writer is always at work when the write lock is asked for."""

    def work() -> None:
        with logs.database(tmp_path / "tasks.db") as connection:
            connection.execute("BEGIN IMMEDIATE")
            with (
                mock.patch.object(wal_index, "read_header", return_value=None),
                mock.patch.object(page_reader, "SECONDS", 0.05),
                pytest.raises(ImpossibleError, match="kept changing"),
            ):
                open_pages(tmp_path / "tasks.db")

    alone(work)


def test_index_that_does_not_agree_with_sqlite_is_refused(tmp_path: Path) -> None:
    def work() -> None:
        with logs.database(tmp_path / "tasks.db") as connection:
            logs.hot(tmp_path / "tasks.db", connection)
            real = wal_index.read_header

            def read_header(index: int) -> wal_index.WalIndexHeader | None:
                if header := real(index):
                    header.page_count += 1
                return header

            with (
                mock.patch.object(wal_index, "read_header", read_header),
                pytest.raises(ImpossibleError, match="does not agree"),
            ):
                open_pages(tmp_path / "tasks.db")

    alone(work)
