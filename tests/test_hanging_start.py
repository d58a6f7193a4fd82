"""A site whose own start asks a restored database what it never answers: there is a way back."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.backups.uploads import add_tasks
from tests.processes import CHECKOUT, environment, run_python
from tests.site import Site, copy_site, kill_group, task_names

pytestmark = pytest.mark.proof

SETTINGS = """
from taskdog.settings import *
from backups.startup import slow_start

slow_start.SECONDS = 2.0
INSTALLED_APPS = [*INSTALLED_APPS, "asking"]
BACKUPS_ALLOW_UNKNOWN_SCHEMA = True
"""
APP = """
from django.apps import AppConfig

class AskingConfig(AppConfig):
    name = "asking"

    def ready(self):
        from django.db import connection
        with connection.cursor() as cursor:
            cursor.execute("SELECT answer FROM question").fetchall()
"""
QUICK = "CREATE VIEW question AS SELECT 1 AS answer"
# One step of SQLite's, which nothing but the end of the process ends.
ENDLESS = (
    "DROP VIEW question; CREATE VIEW question AS"
    " SELECT instr(zeroblob(20000000), zeroblob(10000000) || x'01') AS answer"
)


@pytest.fixture
def asking(site: Site, template_site: Site, tmp_path: Path) -> Site:
    """A site with the task 'old' that asks at its start, and a restore pending that hangs it."""
    code = tmp_path / "code"
    (code / "asking").mkdir(parents=True)
    (code / "asking" / "__init__.py").touch()
    (code / "asking" / "apps.py").write_text(APP)
    (code / "asking_settings.py").write_text(SETTINGS)
    site.variables |= {
        "DJANGO_SETTINGS_MODULE": "asking_settings",
        "PYTHONPATH": f"{code}{os.pathsep}{CHECKOUT}",
    }
    other = copy_site(template_site, tmp_path / "other")
    add_tasks(other.database, "new")
    add_tasks(site.database, "old")
    for database, script in ((site.database, QUICK), (other.database, f"{QUICK}; {ENDLESS}")):
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(script)
    with closing(sqlite3.connect(other.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "snapshot.db"),))
    staged = manage(site, "restore_db", str(tmp_path / "snapshot.db"), "--yes")
    assert staged.startswith("Pending"), staged
    return site


def manage(site: Site, *words: str) -> str:
    """What a command says, which must come to its end."""
    ended = run_python("manage.py", *words, data_dir=site.data, **site.variables)
    assert ended.code == 0, ended.err
    return ended.out + ended.err


@contextmanager
def hung(site: Site) -> Iterator[str]:
    """A start that hangs, and the last line of its log. It is killed at the end, as by a person."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "check"],
        cwd=CHECKOUT,
        env=environment(site.data, **site.variables),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        yield next(line for line in process.stderr if "restore_db --undo" in line)
        assert process.poll() is None, "it has not come to its end"
    finally:
        kill_group(process)
        process.communicate()


def test_undo_gets_through_while_the_start_hangs_and_the_next_start_does_too(asking: Site) -> None:
    with hung(asking) as line:
        assert "kept as tasks.db.pre-restore-" in line
        assert "manage.py restore_db --undo, then start the server again" in line
        said = manage(asking, "restore_db", "--undo", "--yes")
        assert "not ready after 2 seconds" in said
        assert "this command starts again without them" in said
        assert said.startswith("Pending")
    assert "no issues" in manage(asking, "check")
    assert task_names(asking.database) == ["old"]
    assert asking.conclusions() == ["applied", "applied"]


def test_other_commands_of_ours_get_through_while_the_start_hangs(
    asking: Site, tmp_path: Path
) -> None:
    with hung(asking):
        pass
    with hung(asking) as line:  # nothing is applied any more, and a person may see only this
        assert "apps are not ready after 2 seconds" in line
        assert "pre-restore" in manage(asking, "restore_db", "--list")
        manage(asking, "backup", "-o", str(tmp_path / "saved.db"))
    assert task_names(tmp_path / "saved.db") == ["new"]
