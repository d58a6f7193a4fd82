"""The server's disk, or this machine's, is full: nothing is lost, and nothing stays."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from backups.exceptions import DatabaseServerError, NotEnoughSpaceError
from tests.backups.stores import chunks
from tests.backups.waiting import until
from tests.postgres.server import Server
from tests.postgres.stores import Store, make_content, new_snapshot, new_store

pytestmark = pytest.mark.postgres

CHUNK = bytes(64 * 1024)
MEGABYTE = 1024**2
FULL = (NotEnoughSpaceError, DatabaseServerError)


@contextmanager
def filled(folder: Path, *, but: int) -> Iterator[None]:
    """Fill a disk for the block, but for so many bytes."""
    path = folder / "ballast"
    try:
        with path.open("wb", buffering=0) as file, suppress(OSError):
            while os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize > but:
                file.write(CHUNK)
        yield
    finally:
        path.unlink()


def large_dump(store: Store, name: str) -> bytes:
    """A dump with more rows than a nearly full disk has room for."""
    make_content(store, "large", name)
    _add_rows(store, name)
    other = Store(store.server, name, store.folder)
    content = other.snapshot()
    other.drop()
    return content


def _add_rows(store: Store, name: str) -> None:
    with store.connect(name) as connection:
        connection.execute(
            "INSERT INTO journal SELECT repeat(md5(n::text), 30) || n, 1, 1, 0"
            " FROM generate_series(1, 20000) n"
        )


@pytest.mark.parametrize("but", [0, 2 * MEGABYTE, 12 * MEGABYTE, 20 * MEGABYTE])
def test_the_disk_of_the_server_is_full(but: int, small_postgres: Server, tmp_path: Path) -> None:
    """The disk is full before a staging, or gets full while a database is made or filled."""
    store = new_store(small_postgres, tmp_path / "machine", "old")
    large = large_dump(store, f"other_{store.database}")
    store.stage(new_snapshot(small_postgres, tmp_path / "first", "first"))
    store.apply_now()
    store.stage(new_snapshot(small_postgres, tmp_path / "second", "second"))
    small_postgres.admin("CHECKPOINT")
    before = store.databases()
    with filled(small_postgres.data, but=but), pytest.raises(FULL):
        store.stage(large)
    _wait_for(small_postgres)
    store.real.sweep()
    assert store.databases() == before
    assert store.temporaries() == []
    assert (store.label(), store.label(store.names.pending)) == ("first", "second")
    assert store.pending() is not None
    assert store.outcomes() == ["staged", "applied", "staged"]


def test_a_full_disk_of_the_server_lets_a_restore_happen_or_not(
    small_postgres: Server, tmp_path: Path
) -> None:
    store = new_store(small_postgres, tmp_path / "machine", "old")
    store.stage(new_snapshot(small_postgres, tmp_path / "first", "first"))
    store.apply_now()
    for work in (store.snapshot, store.undo, store.apply_now):
        with filled(small_postgres.data, but=0), suppress(*FULL):
            work()
        _wait_for(small_postgres)
        store.real.sweep()
        applied = store.outcomes().count("applied")
        assert store.label() == ("old", "first", "old")[applied]
        assert store.temporaries() == []
        assert len(store.kept()) == applied
        if work == store.undo and store.pending() is None:
            store.undo()
    assert (store.pending() is None) == (store.label() == "old")


def test_the_disk_of_this_machine_is_full(
    postgres: Server, small_folder: Path, tmp_path: Path
) -> None:
    store = new_store(postgres, small_folder, "old")
    large = large_dump(replace(store, folder=tmp_path / "roomy"), f"other_{store.database}")
    store.stage(new_snapshot(postgres, tmp_path / "machine"))
    with pytest.raises(NotEnoughSpaceError, match=str(small_folder)):
        store.stage(large)
    _add_rows(store, store.database)
    with pytest.raises(NotEnoughSpaceError, match=str(small_folder)):
        store.snapshot()
    assert store.temporaries() == []
    assert store.apply_now().outcome == "applied"
    assert (store.label(), [store.label(name) for name in store.kept()]) == ("new", ["old"])
    store.drop()


def test_the_disk_of_this_machine_gets_full_before_the_dump_is_restored(
    postgres: Server, small_folder: Path, tmp_path: Path
) -> None:
    """The list of what is restored has no room: that is not the server's disk."""
    store = new_store(postgres, small_folder, "old")
    snapshot = new_snapshot(postgres, tmp_path / "machine")
    with ExitStack() as stack:

        def fill() -> None:
            stack.enter_context(filled(small_folder, but=0))

        preparing = store.real.prepare_restore(
            chunks(snapshot), staged_by="tester", max_bytes=MEGABYTE, on_received=fill
        )
        with pytest.raises(NotEnoughSpaceError, match=str(small_folder)), preparing:
            pass
    assert store.temporaries() == []
    store.drop()


def _wait_for(server: Server) -> None:
    """It may have ended, for want of room for its log; its operator starts it again."""
    until(lambda: not server.is_running() or _answers(server))
    if not server.is_running():
        server.stop()
        server.start()


def _answers(server: Server) -> bool:
    with suppress(psycopg.OperationalError):
        return bool(server.admin("SELECT 1"))
    return False
