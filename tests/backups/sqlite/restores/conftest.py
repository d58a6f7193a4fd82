"""What the tests of staging start with."""

from pathlib import Path

import pytest

from tests.backups import builders
from tests.backups.stores import Store, new_snapshot, new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose live database has rows in its WAL only."""
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "live")
    return store


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return new_snapshot(tmp_path)
