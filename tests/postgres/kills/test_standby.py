"""A standby follows a restore, gives snapshots, and is a whole site once it is promoted."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.postgres.server import Server
from tests.postgres.standby import promote, wait_until_equal
from tests.postgres.stores import FakeSite, new_snapshot, new_store

pytestmark = pytest.mark.postgres


def test_a_standby_follows_a_restore_and_takes_over(
    postgres: Server, standby: Server, tmp_path: Path
) -> None:
    store = new_store(postgres, tmp_path / "machine", "old")
    store.stage(new_snapshot(postgres, tmp_path / "snapshot"))
    store.apply_now()
    wait_until_equal(postgres, standby)

    copy = replace(store, server=standby, site=FakeSite())
    assert copy.databases() == store.databases()
    assert (copy.label(), [copy.label(name) for name in copy.kept()]) == ("new", ["old"])
    assert copy.outcomes() == ["staged", "applied"]

    store.stage(copy.snapshot())  # taken from the standby
    store.real.discard_pending_restore(discarded_by="tester")
    wait_until_equal(postgres, standby)
    assert copy.start() is None  # nothing is pending: a site that only reads starts

    promote(standby)
    copy.undo()
    copy.apply_now()
    assert (copy.label(), store.label()) == ("old", "new")
    assert copy.temporaries() == []
    store.drop()
