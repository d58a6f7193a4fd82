"""A server whose messages are not in English: no snapshot is blamed for what the machine did."""

from pathlib import Path

import psycopg
import pytest

from backups.exceptions import (
    BackupError,
    DamagedSnapshotError,
    DatabaseServerError,
    NotEnoughSpaceError,
)
from backups.postgres.restoring import restore_dump
from backups.postgres.scratch import Scratch
from tests.postgres.kills.test_full_disk import large_dump
from tests.postgres.server import Server
from tests.postgres.stores import new_snapshot, new_store

# Debian has German for this one. Where the machine lacks it, the server speaks English.
pytestmark = [pytest.mark.postgres, pytest.mark.postgres_version(15)]


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that start after this speak German."""
    monkeypatch.setenv("LANGUAGE", "de")


def broken(snapshot: bytes) -> bytes:
    """The same dump, with two rows of one key. It is read to its end without an error."""
    assert snapshot.count(b"2\tnew\t") == 1
    return snapshot.replace(b"2\tnew\t", b"1\tnew\t")


def severity(server: Server) -> str:
    """What the server calls an error."""
    with pytest.raises(psycopg.Error) as caught:
        server.admin("SELECT 1 / 0")
    return str(caught.value.diag.severity)


def test_a_full_disk_is_not_called_a_damaged_dump(
    german: None, own_postgres: Server, small_space: str, tmp_path: Path
) -> None:
    store = new_store(own_postgres, tmp_path / "machine", "old")
    large = large_dump(store, f"other_{store.database}")
    own_postgres.admin(f"ALTER DATABASE {store.database} SET TABLESPACE {small_space}")
    with pytest.raises(BackupError) as caught:
        store.stage(large)
    kinds = {"FEHLER": DatabaseServerError, "ERROR": NotEnoughSpaceError}
    assert type(caught.value) is kinds[severity(own_postgres)]
    own_postgres.admin("ALTER ROLE site SET lc_messages = 'C'")
    with pytest.raises(NotEnoughSpaceError):
        store.stage(large)
    assert store.temporaries() == []


def test_a_dump_that_fails_there_is_not_blamed_and_the_hint_says_why(
    german: None, own_postgres: Server, tmp_path: Path
) -> None:
    store = new_store(own_postgres, tmp_path / "machine", "old")
    dump = broken(new_snapshot(own_postgres, tmp_path / "other"))
    with pytest.raises(BackupError) as caught:
        store.stage(dump)
    kinds = {"FEHLER": DatabaseServerError, "ERROR": DamagedSnapshotError}
    assert type(caught.value) is kinds[severity(own_postgres)]
    own_postgres.admin("ALTER ROLE site SET lc_messages = 'C'")
    with pytest.raises(DamagedSnapshotError, match="unique index"):
        store.stage(dump)
    assert store.temporaries() == []


def test_a_server_that_has_gone_is_not_called_a_damaged_dump(
    own_postgres: Server, tmp_path: Path
) -> None:
    """It can't be asked for its language then."""
    store = new_store(own_postgres, tmp_path / "machine", "old")
    dump = tmp_path / "dump"
    dump.write_bytes(store.snapshot())
    own_postgres.stop()
    with pytest.raises(DatabaseServerError, match="did not restore the dump to its end"):
        restore_dump(
            dump,
            store.database,
            own_postgres.role,
            pg_restore=own_postgres.programs / "pg_restore",
            server=store.core,
            scratch=Scratch(store.folder),
            watch=None,
        )
