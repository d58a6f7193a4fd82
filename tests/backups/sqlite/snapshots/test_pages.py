"""Snapshots of a WAL database by its own pages."""

import fcntl
import hashlib
import math
import os
import resource
import signal
import sqlite3
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

from backups.disk import file_system
from backups.exceptions import ChildNotStartedError, SnapshotFailedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import uri
from backups.sqlite.format.file_length import Header
from backups.sqlite.locking.presence import Presence
from backups.sqlite.records.sent_snapshots import was_sent
from backups.sqlite.snapshots import rollback_reader
from backups.sqlite.snapshots.pages import (
    CHUNK_BYTES,
    PageSnapshot,
    PagesNotPossibleError,
    create_page_snapshot,
)
from backups.store import Snapshot
from tests.backups import builders, logs
from tests.backups.waiting import until
from tests.standard_sqlite import serialize

pytestmark = pytest.mark.proof

LONG = 60.0  # seconds; no test waits for so long
VERSIONS = slice(18, 20)
LOCK_BYTES = 1024**3  # where SQLite's locks are


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A name in a folder of its own."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "tasks.db"


def take(
    database: Path,
    *,
    spool_after: float = LONG,
    stall_seconds: float = LONG,
    presence: int | None = None,
) -> PageSnapshot:
    """Begin one."""
    return create_page_snapshot(
        StorePaths.of(database),
        spool_after=spool_after,
        stall_seconds=stall_seconds,
        presence=presence,
    )


def read(snapshot: Snapshot) -> bytes:
    """All of it, which must be as long as it was said to be."""
    with snapshot:
        content = b"".join(snapshot)
    assert len(content) == snapshot.size
    return content


def expected(database: Path) -> bytes:
    """What SQLite itself reads, page by page, at this moment; as a file that stands alone."""
    with closing(sqlite3.connect(database)) as connection:
        content = bytearray(serialize(connection))
    content[VERSIONS] = b"\1\1"
    return bytes(content)


def pid_of(snapshot: PageSnapshot) -> int:
    """The process that sends it."""
    return snapshot._process.pid


def unread_bytes(snapshot: PageSnapshot) -> int:
    """How many are in the pipe."""
    assert snapshot._process.stdout is not None
    unread = fcntl.ioctl(snapshot._process.stdout, termios.FIONREAD, bytes(4))
    return int.from_bytes(unread, sys.byteorder)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie of somebody who is."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def open_files(pid: int) -> dict[str, int]:
    """What a process has open, and how many bytes are in it."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it is closed already
            found[str(link.readlink())] = link.stat().st_size
    return found


def spools(pid: int) -> list[int]:
    """How long the spools of a process are."""
    return [size for name, size in open_files(pid).items() if ".spool-" in name]


def check_whole(content: bytes, tmp_path: Path) -> list[tuple[object, ...]]:
    """It opens without sidecars and passes the integrity check; returns its items."""
    copy = tmp_path / "taken.db"
    copy.write_bytes(content)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        return connection.execute("SELECT id, name, content FROM items").fetchall()


# Every page, as SQLite reads it


@pytest.mark.parametrize("page_size", [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])
@pytest.mark.parametrize("state", logs.STATES)
def test_snapshot_is_what_sqlite_reads(
    state: str, page_size: int, database: Path, tmp_path: Path
) -> None:
    with logs.database(database, page_size=page_size) as connection:
        logs.STATES[state](database, connection)
        content = read(take(database))
        assert content == expected(database)
        with closing(logs.connect(database)) as other:
            rows = other.execute("SELECT id, name, content FROM items").fetchall()
        assert check_whole(content, tmp_path) == rows


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("auto_vacuum", ["NONE", "FULL", "INCREMENTAL"])
@pytest.mark.parametrize("state", ["hot", "shrunk", "half_backfilled"])
def test_snapshot_keeps_the_format(
    state: str, auto_vacuum: str, encoding: str, database: Path, tmp_path: Path
) -> None:
    pragmas = (f"auto_vacuum={auto_vacuum}", f"encoding='{encoding}'")
    with logs.database(database, *pragmas) as connection:
        logs.STATES[state](database, connection)
        content = read(take(database))
        assert content == expected(database)
        check_whole(content, tmp_path)
        with closing(sqlite3.connect(tmp_path / "taken.db")) as taken:
            for pragma in ("PRAGMA auto_vacuum", "PRAGMA encoding"):
                assert taken.execute(pragma).fetchone() == connection.execute(pragma).fetchone()


def test_page_of_the_lock_bytes_is_in_no_file_and_is_zeros(database: Path) -> None:
    """
    SQLite never writes the page at 1 GiB; a database that has just grown past it has that page
    neither in its main file nor in its WAL: https://www.sqlite.org/fileformat2.html#lockbyte
    """
    with logs.database(database, page_size=65536):
        pass
    before = LOCK_BYTES // 65536
    with database.open("r+b") as content:  # a gibibyte of pages that nobody uses
        content.truncate(LOCK_BYTES)
        content.seek(28)
        content.write(before.to_bytes(4, "big"))
    with closing(logs.connect(database)) as connection:
        logs.add(connection, 300)
        assert database.stat().st_size == LOCK_BYTES
        with take(database) as snapshot:
            assert snapshot.size > LOCK_BYTES + 2 * 65536
            end = read_end(snapshot, LOCK_BYTES)
        assert end[:65536] == bytes(65536)
        logs.checkpoint(connection, "TRUNCATE")
    with database.open("rb") as content:
        content.seek(LOCK_BYTES)
        assert end == content.read()


def read_end(snapshot: Snapshot, start: int) -> bytes:
    """All but the first bytes."""
    end, offset = b"", 0
    for chunk in snapshot:
        end += chunk[max(0, start - offset) :]
        offset += len(chunk)
    return end


def test_closed_database_is_opened_and_closed_again(database: Path, tmp_path: Path) -> None:
    with logs.database(database) as connection:
        logs.hot(database, connection)
    before = builders.folder(database.parent)
    assert list(before) == ["tasks.db"]
    content = read(take(database))
    until(lambda: (database.parent / "tasks.db.sent-snapshots.jsonl").exists())
    until(lambda: not database.with_name("tasks.db-shm").exists())
    assert content == expected(database)
    assert database.read_bytes() == before["tasks.db"]


def test_log_that_a_killed_process_left_is_in_it(database: Path, tmp_path: Path) -> None:
    builders.hot_wal(database, "in the WAL", in_main=("in the main file",))
    (tmp_path / "taken.db").write_bytes(read(take(database)))
    assert builders.names(tmp_path / "taken.db") == ["in the main file", "in the WAL"]


def test_header_without_a_page_count_gets_one(database: Path, tmp_path: Path) -> None:
    """As SQLite wrote it before 3.7: what is stored there does not count."""
    with logs.database(database):
        pass
    with database.open("r+b") as content:
        for position in (28, 92):
            content.seek(position)
            content.write(bytes(4))
    snapshot = read(take(database))
    assert int.from_bytes(snapshot[28:32], "big") * 4096 == len(snapshot)
    assert snapshot[24:28] == snapshot[92:96]
    check_whole(snapshot, tmp_path)


# While others write


def meddle(connection: sqlite3.Connection) -> None:
    """Everything that others may do to the pages: change, free, move, add, and copy them back."""
    for _ in range(2):
        logs.rewrite(connection)
        logs.checkpoint(connection)
    connection.execute("DELETE FROM items WHERE id % 2")
    connection.execute("PRAGMA incremental_vacuum")
    logs.checkpoint(connection, "PASSIVE")
    connection.execute("CREATE TABLE more AS SELECT * FROM items")
    connection.execute("ALTER TABLE items ADD COLUMN color")
    connection.execute("VACUUM")
    logs.checkpoint(connection, "PASSIVE")
    logs.add(connection, 4000)
    connection.execute("DROP TABLE more")
    connection.execute("VACUUM")
    logs.checkpoint(connection, "PASSIVE")


@pytest.mark.parametrize("state", logs.STATES)
def test_what_others_do_in_the_middle_is_not_in_it(
    state: str, database: Path, tmp_path: Path
) -> None:
    with logs.database(database, "auto_vacuum=INCREMENTAL", kilobytes=3500) as connection:
        logs.STATES[state](database, connection)
        before = expected(database)
        with take(database) as snapshot:
            chunks = iter(snapshot)
            first = next(chunks)
            if state == "uncommitted":
                connection.execute("COMMIT")
            meddle(connection)
            content = first + b"".join(chunks)
        assert len(first) < len(content)
        assert content == before != expected(database)
        check_whole(content, tmp_path)


def test_writer_that_is_at_work_is_not_waited_for(database: Path) -> None:
    with logs.database(database) as connection:
        before = expected(database)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM items")
        assert read(take(database)) == before


def test_readers_in_every_slot_do_not_matter(database: Path) -> None:
    """The WAL has marks for four readers of different moments; more have to share."""
    with logs.database(database) as connection:
        readers = []
        for _ in range(6):
            readers.append(logs.connect(database))
            readers[-1].execute("BEGIN")
            readers[-1].execute("SELECT count(*) FROM items").fetchone()
            logs.add(connection, 20)
        assert read(take(database)) == expected(database)
        for reader in readers:
            reader.close()


# A slow reader


def is_log_free(connection: sqlite3.Connection) -> bool:
    """Whether nobody reads any more what is in the WAL, if there is anything in it."""
    busy, _, _ = logs.checkpoint(connection, "TRUNCATE")
    return not busy


def test_slow_reader_gets_the_rest_from_a_spool(database: Path) -> None:
    with logs.database(database, kilobytes=8000) as connection:
        logs.hot(database, connection)
        before = expected(database)
        connection.execute("PRAGMA busy_timeout=0")
        with take(database, spool_after=0.05) as snapshot:
            chunks = iter(snapshot)
            content = next(chunks)
            until(lambda: is_log_free(connection))
            logs.rewrite(connection)
            assert is_log_free(connection)
            assert StorePaths.of(database).temporaries() == [], "it has no name any more"
            assert len(spools(pid_of(snapshot))) == 1
            content += b"".join(chunks)
        assert content == before


def test_reader_that_becomes_slow_keeps_what_it_was_lent(database: Path) -> None:
    """What is in the pipe are the pages themselves: until they are taken they must stay."""
    with logs.database(database, kilobytes=24_000) as connection:
        before = expected(database)
        connection.execute("PRAGMA busy_timeout=0")
        with take(database, spool_after=3.0) as snapshot:  # to read 16 MB takes far less
            chunks = iter(snapshot)
            content = b""
            while len(content) < 16 * CHUNK_BYTES:
                content += next(chunks)
            pid, rest = pid_of(snapshot), len(before) - len(content) - 2 * CHUNK_BYTES
            until(lambda: sum(spools(pid)) > rest)
            logs.rewrite(connection)
            for _ in range(200):
                assert not is_log_free(connection)
            content += next(chunks) + next(chunks)
            until(lambda: is_log_free(connection))
            logs.rewrite(connection)
            assert is_log_free(connection)
            content += b"".join(chunks)
        assert content == before


@contextmanager
def limited_files(most: int) -> Iterator[None]:
    """No file of this process and its children may grow past a limit."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_spool_that_does_not_fit_is_done_without(database: Path) -> None:
    with logs.database(database, kilobytes=6000) as connection:
        before = expected(database)
        with limited_files(2 * 1024**2):
            snapshot = take(database, spool_after=0.05)
        with snapshot:
            chunks = iter(snapshot)
            content = next(chunks)
            until(lambda: spools(pid_of(snapshot)) == [0])
            meddle(connection)
            content += b"".join(chunks)
        assert content == before


def test_snapshot_without_a_spool_is_given_up_when_the_log_grows_long(database: Path) -> None:
    with logs.database(database, kilobytes=6000) as connection:
        with limited_files(2 * 1024**2):
            snapshot = take(database, spool_after=0.05)
        with snapshot:
            chunks = iter(snapshot)
            next(chunks)
            until(lambda: spools(pid_of(snapshot)) == [0])
            logs.add(connection, 70_000)
            until(lambda: has_ended(pid_of(snapshot)))
            with pytest.raises(SnapshotFailedError, match="no room"):
                list(chunks)
        assert is_log_free(connection)


def test_reader_that_may_be_slow_is_spooled_once_the_log_grows_long(database: Path) -> None:
    with logs.database(database, kilobytes=6000) as connection:
        logs.hot(database, connection)
        before = expected(database)
        connection.execute("PRAGMA busy_timeout=0")
        with take(database, spool_after=math.inf) as snapshot:
            chunks = iter(snapshot)
            content = next(chunks)
            assert not is_log_free(connection)
            logs.add(connection, 70_000)
            until(lambda: is_log_free(connection))
            content += b"".join(chunks)
        assert content == before


# The end, of each kind


def test_reader_that_takes_nothing_is_hung_up_on(database: Path) -> None:
    with (
        logs.database(database, kilobytes=8000) as connection,
        take(database, stall_seconds=0.2) as snapshot,
    ):
        chunks = iter(snapshot)
        next(chunks)
        until(lambda: has_ended(pid_of(snapshot)))
        assert is_log_free(connection)
        with pytest.raises(SnapshotFailedError, match="ReaderStalledError"):
            list(chunks)


def test_reader_that_takes_nothing_of_the_last_bytes_is_hung_up_on(database: Path) -> None:
    with logs.database(database), take(database, stall_seconds=0.2) as snapshot:
        until(lambda: has_ended(pid_of(snapshot)))
        with pytest.raises(SnapshotFailedError, match="ReaderStalledError"):
            list(snapshot)


def test_reader_that_goes_away_ends_the_process_and_is_not_recorded(database: Path) -> None:
    with logs.database(database, kilobytes=8000) as connection:
        snapshot = take(database)
        next(iter(snapshot))
        snapshot.close()
        snapshot.close()
        assert has_ended(pid_of(snapshot))
        assert snapshot._process.returncode is not None, "no zombie"
        assert is_log_free(connection)
        assert not StorePaths.of(database).sent.exists()


def test_reader_that_goes_away_before_the_last_chunk_is_not_recorded(database: Path) -> None:
    """Everything is in the pipe then, and hashed."""
    with logs.database(database) as connection:
        logs.hot(database, connection)
        with take(database) as snapshot:
            until(lambda: is_log_free(connection))
        assert snapshot._process.returncode is not None
        logs.hot(database, connection)
        with take(database) as snapshot:
            until(lambda: is_log_free(connection))
            assert len(next(iter(snapshot))) == snapshot.size
        assert snapshot._process.returncode is not None
        assert not StorePaths.of(database).sent.exists()


def test_process_ends_with_the_server(database: Path) -> None:
    def serve(requests: IO[str], answers: IO[str]) -> None:
        snapshot = take(database)
        next(iter(snapshot))
        print(pid_of(snapshot), file=answers)
        requests.readline()

    with logs.database(database, kilobytes=8000) as connection:
        with builders.forked(serve) as (_, _, answers):
            pid = int(answers.readline())
            assert not has_ended(pid)
        until(lambda: has_ended(pid))  # the server was killed
        assert is_log_free(connection)


def test_process_that_is_killed_in_the_middle_fails_the_reading(database: Path) -> None:
    with logs.database(database, kilobytes=8000), take(database) as snapshot:
        chunks = iter(snapshot)
        next(chunks)
        os.kill(pid_of(snapshot), signal.SIGKILL)
        with pytest.raises(SnapshotFailedError, match="broke off: its process was killed"):
            list(chunks)


def test_process_that_is_killed_at_the_end_fails_the_reading(database: Path) -> None:
    """All bytes are in the pipe, but since then nobody has kept the pages as they were."""
    with logs.database(database), take(database) as snapshot:
        until(lambda: unread_bytes(snapshot) == snapshot.size)
        os.kill(pid_of(snapshot), signal.SIGKILL)
        until(lambda: has_ended(pid_of(snapshot)))
        with pytest.raises(SnapshotFailedError, match="broke off"):
            list(snapshot)


def test_main_file_that_is_cut_off_fails_the_reading(database: Path) -> None:
    with logs.database(database, kilobytes=8000), take(database) as snapshot:
        chunks = iter(snapshot)
        next(chunks)
        os.truncate(database, 4 * CHUNK_BYTES)
        with pytest.raises(SnapshotFailedError, match="became shorter"):
            list(chunks)


def test_snapshot_that_was_read_to_its_end_is_recorded(database: Path) -> None:
    with logs.database(database, kilobytes=3000):
        content = read(take(database))
        paths, sha256 = StorePaths.of(database), hashlib.sha256(content).hexdigest()
        until(lambda: was_sent(paths, sha256=sha256, size=len(content)))


@pytest.mark.parametrize("spool_after", [0.0, 0.05])
def test_spooled_snapshot_is_recorded_too(spool_after: float, database: Path) -> None:
    with logs.database(database, kilobytes=12_000) as connection:
        logs.hot(database, connection)
        connection.execute("PRAGMA busy_timeout=0")
        with take(database, spool_after=spool_after) as snapshot:
            chunks = iter(snapshot)
            content = next(chunks)
            until(lambda: is_log_free(connection))
            logs.rewrite(connection)
            content += b"".join(chunks)
        paths, sha256 = StorePaths.of(database), hashlib.sha256(content).hexdigest()
        until(lambda: was_sent(paths, sha256=sha256, size=len(content)))


def test_end_does_not_wait_until_it_is_recorded(database: Path) -> None:
    with logs.database(database, kilobytes=8000):
        snapshot = take(database)
        for _ in snapshot:
            pass
        os.kill(pid_of(snapshot), signal.SIGSTOP)
        snapshot.close()
        assert not StorePaths.of(database).sent.exists()
        os.kill(pid_of(snapshot), signal.SIGCONT)
        until(StorePaths.of(database).sent.exists)
        until(lambda: snapshot._process.returncode is not None)  # no zombie


def test_process_holds_presence_as_long_as_it_lives(database: Path) -> None:
    paths = StorePaths.of(database)
    with logs.database(database, kilobytes=8000):
        server = Presence(paths.lock)
        server.join()
        snapshot = take(database, presence=server.descriptor)
        server.leave()
        other = Presence(paths.lock)
        assert not other.try_alone()
        snapshot.close()
        assert other.try_alone()
        other.leave()


# In another mode than WAL


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist"])
def test_rollback_mode_is_copied_before_the_first_byte(mode: str, database: Path) -> None:
    builders.large(database)
    with closing(sqlite3.connect(database, timeout=0)) as writer:
        writer.execute(f"PRAGMA journal_mode={mode}")
        builders.add(writer, "before")
        before = database.read_bytes()
        with take(database) as snapshot:
            assert snapshot.locked_seconds > 0
            builders.add(writer, "after")  # nobody is kept out any more
            assert b"".join(snapshot) == before != database.read_bytes()
    assert not StorePaths.of(database).temporaries()


def test_transaction_that_is_open_is_not_in_the_copy(database: Path) -> None:
    builders.large(database)
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO items (name) VALUES ('not committed')")
        content = read(take(database))
        writer.execute("COMMIT")
    assert b"not committed" not in content


def test_what_a_killed_writer_left_is_rolled_back_before_the_copy(
    database: Path, tmp_path: Path
) -> None:
    builders.hot_journal(database, "committed")
    (tmp_path / "taken.db").write_bytes(read(take(database)))
    assert builders.names(tmp_path / "taken.db") == ["committed"]
    assert builders.names(database) == ["committed"]


def test_what_is_committed_between_the_copy_and_the_lock_is_in_it(
    database: Path, tmp_path: Path
) -> None:
    """Also pages that are added or given back meanwhile, and the old bytes of no page stay."""
    builders.large(database, rows=2_000)
    complete = rollback_reader._Copying.complete
    for change in (
        "UPDATE owners SET name = 'changed' WHERE id = 1000",
        "INSERT INTO owners (name) SELECT name FROM owners",
        "DELETE FROM owners; VACUUM",
    ):
        copy = os.open(tmp_path / "copy.db", os.O_RDWR | os.O_CREAT | os.O_TRUNC)

        def change_first(self: rollback_reader._Copying, change: str = change) -> None:
            with closing(sqlite3.connect(database)) as writer:
                writer.executescript(f"{change};")
                writer.commit()
            complete(self)

        with (
            mock.patch.object(rollback_reader._Copying, "clone", return_value=False),
            mock.patch.object(rollback_reader._Copying, "complete", change_first),
        ):
            seconds, size = rollback_reader.copy_pages(uri(database), str(database), copy)
        os.close(copy)
        assert seconds > 0
        assert size == database.stat().st_size
        assert (tmp_path / "copy.db").read_bytes() == database.read_bytes()


def test_copy_leaves_out_bytes_behind_the_last_page(database: Path) -> None:
    content = builders.healthy(database, "row").read_bytes()
    with database.open("ab") as end:
        end.write(bytes(10_000))
    assert read(take(database)) == content


def test_copy_of_a_header_without_a_page_count_gets_one(database: Path, tmp_path: Path) -> None:
    builders.healthy(database, "row")
    with database.open("r+b") as content:
        for position in (28, 92):
            content.seek(position)
            content.write(bytes(4))
    (tmp_path / "taken.db").write_bytes(read(take(database)))
    Header.parse((tmp_path / "taken.db").read_bytes()[:100])
    assert int.from_bytes((tmp_path / "taken.db").read_bytes()[28:32], "big") * 4096 == (
        (tmp_path / "taken.db").stat().st_size
    )
    assert builders.names(tmp_path / "taken.db") == ["row"]


def test_copy_that_does_not_fit_is_not_possible_and_leaves_nothing(database: Path) -> None:
    builders.large(database)
    before = builders.folder(database.parent)
    with (
        limited_files(2 * 1024**2),
        pytest.raises(PagesNotPossibleError, match="could not be copied"),
    ):
        take(database)
    assert builders.folder(database.parent) == before


# Not for every database


def test_exclusive_locking_is_not_possible(database: Path) -> None:
    """There is no index then, or none that this connection keeps."""
    with logs.database(database) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        logs.add(connection, 1)
        with pytest.raises(PagesNotPossibleError, match="database is locked"):
            take(database)


def test_network_file_system_is_not_possible(database: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 0:41 / {tmp_path} rw - nfs4 server:/export rw\n")
    with (
        logs.database(database),
        mock.patch.object(file_system, "MOUNTS", mounts),
        pytest.raises(PagesNotPossibleError, match="the file system is nfs4"),
    ):
        take(database)


def test_other_system_is_not_possible(database: Path) -> None:
    with (
        logs.database(database),
        mock.patch.object(sys, "platform", "darwin"),
        pytest.raises(PagesNotPossibleError, match="darwin"),
    ):
        take(database)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"return_value": ["/nowhere/python"]}, "No such file"),
        ({"side_effect": ChildNotStartedError("there is no Python")}, "there is no Python"),
    ],
)
def test_process_that_can_not_be_started_is_not_possible(
    command: dict[str, Any], reason: str, database: Path
) -> None:
    with (
        logs.database(database),
        mock.patch("backups.sqlite.snapshots.pages.command", **command),
        pytest.raises(PagesNotPossibleError, match=reason),
    ):
        take(database)


@pytest.mark.parametrize("damage", [builders.text, builders.bad_schema])
def test_damaged_database_fails(damage: Callable[[Path], Path], database: Path) -> None:
    damage(database)
    if damage is builders.bad_schema:
        with database.open("r+b") as content:
            content.seek(VERSIONS.start)
            content.write(b"\2\2")
    with pytest.raises(SnapshotFailedError, match=r"malformed|not a database"):
        take(database)


def test_empty_database_is_not_possible(database: Path) -> None:
    builders.empty(database)
    with pytest.raises(PagesNotPossibleError, match="it is empty"):
        take(database)


def test_missing_database_is_not_possible_and_not_created(database: Path) -> None:
    with pytest.raises(PagesNotPossibleError, match="unable to open"):
        take(database)
    assert list(database.parent.iterdir()) == []
