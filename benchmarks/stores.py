"""
A store of the shape that a real site has: tasks, their notes, tags and audit log, with all of
their indexes, and some login sessions. The same size, shape and release give the same content.
"""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import TASKDOG, fill

CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Store:
    """A data folder with a migrated database of about the size that was asked for, and a key."""

    data: Path
    key: str

    @property
    def database(self) -> Path:
        """The live database."""
        return self.data / "tasks.db"

    def manage(self, *arguments: str, **variables: str) -> str:
        """Run a management command of the site on it, and return what it printed."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env=os.environ | {"TASKDOG_DATA_DIR": str(self.data)} | variables,
            check=True,
            capture_output=True,
            text=True,
        ).stdout


def build_store(data: Path, size: int, shape: str = TASKDOG) -> Store:
    """
    Make a data folder whose database has ``size`` bytes, up to 5 MB more, and no WAL.

    :raises FileExistsError: there is something under that name.
    """
    data.mkdir(parents=True)
    store = Store(data, "")
    store.manage("migrate", "--verbosity", "0")
    key = store.manage("create_api_key", "benchmark").strip()
    with closing(sqlite3.connect(store.database, isolation_level=None)) as connection:
        fill(connection, size, shape)
    return Store(data, key)
