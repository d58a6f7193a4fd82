"""What a process does when it connects to a database that was not there when it started."""

import os
import time
from pathlib import Path
from unittest import mock

import pytest
from django.db import OperationalError

from backups import services
from backups.exceptions import DatabaseServerError, StoreFolderError
from backups.site import local_store
from backups.sqlite.folder.paths import StorePaths
from backups.startup import late_databases


@pytest.fixture
def late(tmp_path: Path) -> StorePaths:
    database = tmp_path / "late.db"
    database.write_bytes(b"before")
    return StorePaths.of(database)


def connected(late: StorePaths, join: object) -> mock.Mock:
    """The process connects to a database that was not there, and joins in this way."""
    connection = mock.Mock(alias="late")
    with (
        mock.patch.object(local_store, "paths", return_value=late),
        mock.patch.object(services, "hold_presence_of", side_effect=join) as joined,
    ):
        watching = late_databases._Late({"late": late.database})
        try:
            watching.join(connection)
        finally:
            watching.join(connection)
            assert joined.call_count == 1
    return connection


def test_connection_to_a_file_that_an_applier_has_replaced_is_refused(late: StorePaths) -> None:
    def wait_for_an_applier(_: str) -> None:
        late.pending.write_bytes(b"after")
        os.replace(late.pending, late.database)

    with pytest.raises(OperationalError, match=r"late\.db was just replaced"):
        connected(late, wait_for_an_applier)


def test_lock_that_cannot_be_had_stops_no_connection(late: StorePaths) -> None:
    connection = connected(late, StoreFolderError("The folder is read-only."))
    assert connection.close.call_count == 0


# On a server


def test_process_is_present_once_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 130.0, 161.0, 500.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    gone = [DatabaseServerError("It can't be reached."), None]
    connection, another = mock.MagicMock(alias="far"), mock.Mock(alias="near")
    monkeypatch.setattr(late_databases, "connections", {"far": connection})
    with mock.patch.object(services, "hold_presence_of", side_effect=gone) as joined:
        watching = late_databases._OnServers(["far"])
        watching.join(connection)
        watching.join(connection)
        assert joined.call_count == 1, "a server that is down is not asked at every request"
        watching.join(connection)
        assert joined.call_count == 2
        watching.join(another)
        assert joined.call_count == 2
