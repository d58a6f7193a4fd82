"""The store that most of these tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres.server import Server
from tests.postgres.stores import Store, new_store


@pytest.fixture
def store(postgres: Server, tmp_path: Path) -> Iterator[Store]:
    """One with old content; its databases are dropped at the end."""
    made = new_store(postgres, tmp_path / "machine", "old")
    yield made
    made.real.release_presence()
    made.drop()
