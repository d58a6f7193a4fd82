"""A database that not everybody may write."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups import builders
from tests.backups.stores import Store


@pytest.fixture
def store() -> Iterator[Store]:
    """A WAL database that may be read, in a folder that anybody may write."""
    folder = Path(tempfile.mkdtemp())  # tmp_path lies below folders that only root may enter
    store = Store(folder / "tasks.db")
    builders.healthy(store.database, "row", journal_mode="wal")
    store.database.chmod(0o444)
    folder.chmod(0o777)
    yield store
    folder.chmod(0o755)
    shutil.rmtree(folder)
