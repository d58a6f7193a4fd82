"""A lock file, and a hold on it that ends with the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.sqlite.locking.presence import Presence


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db.lock"


@pytest.fixture
def presence(lock: Path) -> Iterator[Presence]:
    presence = Presence(lock)
    yield presence
    presence.leave()
