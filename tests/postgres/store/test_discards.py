"""A pending restore that somebody discards while a start is at work on it."""

from pathlib import Path

import pytest

from tests.backups.builders import MIGRATIONS
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("fails", [False, True])
def test_a_start_leaves_nothing_of_what_is_discarded_while_it_migrates(
    postgres: Server, store: Store, tmp_path: Path, fails: bool
) -> None:
    store.site.known = MIGRATIONS[:1]
    store.stage(new_snapshot(postgres, tmp_path / "older", "older", older=True))
    store.site.known, store.site.fails = MIGRATIONS, fails

    def discard() -> None:
        store.real.discard_pending_restore(discarded_by="bob")

    store.site.on_migrate = discard
    assert store.start() is None
    assert store.outcomes() == ["staged", "discarded"]
    assert store.label() == "old"
    assert store.kept() == store.refused() == store.temporaries() == []
