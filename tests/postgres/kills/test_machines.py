"""Several web machines on one database: a restore is applied when the others are gone."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.postgres import server
from tests.backups.waiting import until
from tests.postgres.kills.machines import names, on_another_machine, present
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot, new_store
from tests.site import Site

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(postgres: Server, tmp_path: Path) -> Iterator[Store]:
    """A store with a pending restore."""
    made = new_store(postgres, tmp_path / "machine", "old")
    made.stage(new_snapshot(postgres, tmp_path / "snapshot"))
    yield made
    made.real.release_presence()
    made.drop()


def test_each_machine_sees_who_is_present_on_the_other(store: Store, tmp_path: Path) -> None:
    other = on_another_machine(store, tmp_path / "other")
    with present(store) as one, present(other) as two:
        found = store.real.get_status().present
        assert sorted(found) == sorted(names(store))
        assert [f"({pid}) on {socket.gethostname()}" in " ".join(found) for pid in (one, two)]
    until(lambda: names(store) == [])


def test_a_start_waits_until_the_other_machine_has_ended(store: Store, tmp_path: Path) -> None:
    other = on_another_machine(store, tmp_path / "other")
    with present(other) as pid:
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "blocked"
        assert f"({pid}) on {socket.gethostname()}" in receipt.reason
        assert store.label() == "old"
    until(lambda: names(store) == [])
    receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, store.label()) == ("applied", "new")


def test_a_process_that_is_stopped_is_present(store: Store, tmp_path: Path) -> None:
    other = on_another_machine(store, tmp_path / "other")
    with present(other) as pid:
        os.kill(pid, signal.SIGSTOP)
        assert (receipt := store.start()) is not None
        assert receipt.outcome == "blocked"
        assert f"({pid})" in receipt.reason
        os.kill(pid, signal.SIGKILL)
        until(lambda: names(store) == [])
    assert (receipt := store.start()) is not None
    assert receipt.outcome == "applied"


def test_the_server_misses_a_machine_that_is_gone_without_a_word(store: Store) -> None:
    """It asks by TCP, and waits two minutes for an answer."""
    with store.core.connect(store.database) as connection:
        settings: dict[str, int] = dict(
            connection.execute(
                "SELECT name, setting::int FROM pg_settings WHERE name LIKE 'tcp%'"
            ).fetchall()
        )
    idle, interval, count = (settings[f"tcp_{name}"] for name in server.KEEPALIVES)
    assert idle + interval * count == settings["tcp_user_timeout"] / 1000 == 120


def test_two_sites_restore_in_turn(two_machines: tuple[Site, Site], tmp_path: Path) -> None:
    first, second = two_machines
    snapshot = tmp_path / "snapshot.dump"
    with first.serving() as one:
        one.add_task("in the snapshot")
        snapshot.write_bytes(one.api("GET", "backup").content)
        one.add_task("after it")
        second.stage(snapshot)
        with second.serving() as two:
            assert two.task_names() == ["in the snapshot", "after it"]
            named = f"({one.process.pid}) on {socket.gethostname()}"
            assert named in " ".join(two.api("GET", "restore").json()["waiting_for"])
            assert named in "".join(two.log)
    with second.serving() as two:
        assert two.task_names() == ["in the snapshot"]
        assert two.api("GET", "restore").json()["last"]["outcome"] == "applied"
