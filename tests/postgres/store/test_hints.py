"""What an error says to do next."""

from pathlib import Path

import pytest

from backups.exceptions import MigrationStoppedError
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot

pytestmark = pytest.mark.postgres


def test_a_migration_that_takes_too_long_stages_nothing_and_says_so(
    postgres: Server, store: Store, tmp_path: Path
) -> None:
    older = new_snapshot(postgres, tmp_path / "older", "older", older=True)

    def stop() -> None:
        raise MigrationStoppedError("The migrations took longer than 900 seconds.")

    store.site.on_migrate = stop
    with pytest.raises(MigrationStoppedError, match="took longer") as caught:
        store.stage(older)
    assert caught.value.hint.startswith("Nothing was staged.")
    assert store.pending() is None
    assert store.temporaries() == []
