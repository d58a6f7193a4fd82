"""
``kill -9`` of the whole server at every statement of a restore. It starts again, recovers, and has
the old content or the new.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from backups.exceptions import BackupError
from tests.postgres.kills.claims import After, check
from tests.postgres.kills.place import Place
from tests.postgres.kills.statements import Statements, count, moments
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot, new_store

pytestmark = pytest.mark.postgres

AFTER: After = {("old", "new"): (), ("new", ""): ("applied",)}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("work", [Store.start, Store.apply_now])
def test_kill_at_each_statement_of_a_restore(
    work: Callable[[Store], object], own_postgres: Server, tmp_path: Path
) -> None:
    store = new_store(own_postgres, tmp_path / "machine", "old")
    store.stage(new_snapshot(own_postgres, tmp_path / "other"))
    place = Place(store)
    statements = count(lambda: work(store))
    ends = set()
    for moment in moments(statements):
        place.put_back()
        with Statements(moment, own_postgres.kill).counted(), suppress(BackupError):
            work(store)
        assert not own_postgres.is_running()
        own_postgres.start()
        try:
            ends.add(check(store, AFTER, ["staged"]))
        except BaseException as error:
            error.add_note(f"killed {moment}, in {statements}")
            raise
    assert ends == set(AFTER)
