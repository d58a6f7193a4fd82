"""
The same with the real site: Django, its settings, its real migrations and its commands.

Each try takes seconds, and most of what it does is tried without Django in test_system_calls.py,
so only some calls are stopped at.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.backups import builders
from tests.crash.cases import NEW, OLD, Case
from tests.crash.conftest import TRIED
from tests.crash.tries import KILLS, Tries
from tests.crash.worker import Worker
from tests.site import Site, copy_site

LAST_BUT_ONE = ("auth", "0011_update_proxy_permissions")  # what an older snapshot of Django has
STRIDES = {"check": 13, "check, its child": 17, "restore_db": 17}

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def databases(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``live.db`` and ``older.db``, of one task each."""
    folder = tmp_path_factory.mktemp("databases")
    site = copy_site(template_site, folder / "site")
    create = f"from taskdog.tasks.models import Task; Task.objects.create(name={NEW!r})"
    assert site.manage("shell", "-c", create).code == 0
    assert site.manage("backup", "-o", str(folder / "live.db")).code == 0
    older = site.manage("migrate", *LAST_BUT_ONE)
    assert older.code == 0, older.err
    assert site.manage("backup", "-o", str(folder / "older.db")).code == 0
    return folder


@pytest.mark.crash
@pytest.mark.parametrize("name", STRIDES)
def test_some_calls_of_the_site(
    name: str, databases: Path, tmp_path: Path, worker: Worker, record_property: Record
) -> None:
    tries = Tries(_case(name, databases), tmp_path, worker)
    some = list(tries.of_kind(*KILLS))[:: STRIDES[name]]
    assert len(some) > 5
    for attempt in some:
        tries.check(attempt)
    record_property(TRIED, ("site", name, "killed", len(some), 0))


def _case(name: str, databases: Path) -> Case:
    older = partial(shutil.copyfile, databases / "older.db")
    live = partial(_hot_wal, databases / "live.db")
    case = partial(Case, starts="check", stages="restore_db")
    if name == "restore_db":
        return case("restore_db", name, live, given=older, ends=(OLD, NEW))
    child = "backups.site.migrate_child" if name.endswith("child") else ""
    return case("check", name, live, older, lives=(NEW,), ends=(NEW,), child=child)


def _hot_wal(snapshot: Path, live: Path) -> None:
    """The live database, whose task has got its name by a commit that is in the WAL only."""
    shutil.copyfile(snapshot, live)
    with closing(sqlite3.connect(live)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")

    def rename() -> sqlite3.Connection:
        connection = sqlite3.connect(live, isolation_level=None)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("UPDATE tasks SET name = ?", (OLD,))
        return connection

    builders.in_killed_process(rename)
