"""A prepared transaction has no session, and keeps a database in use until somebody ends it."""

from pathlib import Path

import pytest

from backups.exceptions import NeedsRestartError
from tests.postgres import programs
from tests.postgres.server import new_server
from tests.postgres.stores import new_store

pytestmark = pytest.mark.postgres

NAMED = "the prepared transaction left of site"


def test_one_is_named(tmp_path: Path) -> None:
    with new_server(next(iter(programs.found())), "max_prepared_transactions=2") as server:
        store = new_store(server, tmp_path / "machine", "old")
        store.stage(store.snapshot())
        with store.connect() as connection:
            connection.execute("INSERT INTO sessions VALUES ('from another queue')")
            connection.execute("PREPARE TRANSACTION 'left'")
        receipt = store.start()
        assert receipt is not None
        assert (receipt.outcome, NAMED in receipt.reason) == ("blocked", True)
        with pytest.raises(NeedsRestartError, match=NAMED):
            store.apply_now()
        server.admin("COMMIT PREPARED 'left'", store.database)
        applied = store.start()
        assert applied is not None
        rows = server.admin("SELECT key FROM sessions ORDER BY key", str(applied.kept))
        assert rows == [("from another queue",), ("logged in",)]


def test_one_in_a_kept_database_keeps_nobody_from_a_restore(tmp_path: Path) -> None:
    with new_server(next(iter(programs.found())), "max_prepared_transactions=2") as server:
        store = new_store(server, tmp_path / "machine", "old")
        store.kept_copies = 1
        snapshot = store.snapshot()
        store.stage(snapshot)
        store.start()
        with store.connect(store.kept()[0]) as connection:
            connection.execute("INSERT INTO sessions VALUES ('from another queue')")
            connection.execute("PREPARE TRANSACTION 'left'")
        store.stage(snapshot)
        receipt = store.start()
        assert receipt is not None
        assert (receipt.outcome, receipt.removed) == ("applied", ())
        server.admin("ROLLBACK PREPARED 'left'", store.kept()[0])
