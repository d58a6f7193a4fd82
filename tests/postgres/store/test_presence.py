"""Who is present, on every machine of the site."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.postgres import presence
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot, new_store

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(own_postgres: Server, tmp_path: Path) -> Iterator[Store]:
    made = new_store(own_postgres, tmp_path / "machine", "old")
    yield made
    made.real.release_presence()


def presences(store: Store) -> list[str]:
    """The names of the sessions, found without the code's own query."""
    rows = store.server.admin(
        "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'present: %'"
    )
    return [name for (name,) in rows]


def test_a_process_is_present_until_it_leaves(store: Store) -> None:
    store.real.hold_presence()
    store.real.hold_presence()
    (name,) = presences(store)
    assert store.real.get_status().present == (name.removeprefix(presence.MARK),)
    store.real.release_presence()
    assert presences(store) == []
    assert store.real.get_status().present == ()


def test_presence_is_regained_after_a_restart_of_the_server(store: Store) -> None:
    store.real.hold_presence()
    store.server.shut_down()
    store.server.start()
    assert presences(store) == []
    store.real.regain_presence()
    assert len(presences(store)) == 1
    store.real.release_presence()
    store.real.regain_presence()  # who has left does not come back
    assert presences(store) == []


def test_a_start_after_a_restart_of_the_server_is_alone(store: Store, tmp_path: Path) -> None:
    store.stage(new_snapshot(store.server, tmp_path / "snapshot"))
    store.real.hold_presence()
    store.server.kill()
    store.server.start()
    receipt = store.real.apply_pending_restore()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert len(presences(store)) == 1
