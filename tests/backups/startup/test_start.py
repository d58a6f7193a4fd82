"""What a process does at its start, in this process and in real ones."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups import services
from backups.conf import conf
from backups.exceptions import StoreFolderError
from backups.startup import start
from tests.backups.uploads import add_tasks
from tests.processes import run_python
from tests.site import Site, copy_site, task_names


@pytest.fixture
def calls() -> "list[str]":
    return []


@pytest.fixture(autouse=True)
def _recorded(calls: "list[str]", monkeypatch: pytest.MonkeyPatch) -> None:
    """The services are told what to do, and do nothing: pytest's own process is no server."""
    for name in ("apply_pending_restore", "hold_presence", "release_presence", "repair"):
        monkeypatch.setattr(services, name, lambda name=name: calls.append(name))
    monkeypatch.delenv("RUN_MAIN", raising=False)


@pytest.mark.parametrize(
    ("arguments", "run_main", "wanted"),
    [
        (["gunicorn"], None, ["apply_pending_restore"]),
        (["gunicorn", "--config", "x.py"], None, ["apply_pending_restore"]),
        (["manage.py", "check"], None, ["apply_pending_restore"]),
        (["manage.py", "migrate"], None, ["apply_pending_restore"]),
        (["manage.py", "backup"], None, ["repair"]),
        (["manage.py", "restore_db", "--discard"], None, ["repair"]),
        (["manage.py", "runserver"], None, ["apply_pending_restore", "release_presence"]),
        (["manage.py", "runserver"], "true", ["apply_pending_restore"]),
        (["manage.py", "runserver", "--noreload"], None, ["apply_pending_restore"]),
    ],
)
def test_each_kind_of_process_does_its_part(
    arguments: list[str],
    run_main: str | None,
    wanted: list[str],
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", arguments)
    if run_main:
        monkeypatch.setenv("RUN_MAIN", run_main)
    start.start()
    assert calls == wanted


def test_child_that_migrates_a_copy_takes_no_part(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf, "is_child", True)
    start.start()
    assert calls == []


def test_error_of_ours_is_told_in_a_line_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = StoreFolderError("The folder is read-only.", hint="Look at its mode.")
    with mock.patch.object(services, "apply_pending_restore", side_effect=error):
        start.start()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith("The folder is read-only. Look at its mode.")
    assert record.exc_info is None


def test_whatever_fails_stops_nothing_and_presence_is_held(
    calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A process that uses the database must be seen, or another would replace it under it."""
    with mock.patch.object(services, "apply_pending_restore", side_effect=ZeroDivisionError):
        start.start()
    assert calls == ["hold_presence"]
    (record,) = caplog.records
    assert record.exc_info
    assert record.levelno == logging.ERROR


def test_presence_that_cannot_be_held_either_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        mock.patch.object(services, "apply_pending_restore", side_effect=ZeroDivisionError),
        mock.patch.object(services, "hold_presence", side_effect=OSError("no locks")),
    ):
        start.start()
    assert len(caplog.records) == 2


# Real processes


@pytest.fixture
def pending(site: Site, template_site: Site, tmp_path: Path) -> Site:
    """A site with the task 'old', and a restore of 'new' pending."""
    other = copy_site(template_site, tmp_path / "other")
    add_tasks(other.database, "new")
    with closing(sqlite3.connect(other.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "snapshot.db"),))
    add_tasks(site.database, "old")
    site.stage(tmp_path / "snapshot.db")
    return site


def test_ready_applies_before_the_first_query(pending: Site) -> None:
    asked = pending.manage(
        "shell",
        "--no-imports",
        "-c",
        "from django.db import connection as c; k = c.cursor();"
        " k.execute('SELECT name FROM tasks'); print(k.fetchall())",
    )
    if asked.code:  # before Django 5.2 there was no --no-imports
        raise AssertionError(asked.err)
    assert asked.out.strip() == "[('new',)]"
    assert "restore applied" in asked.err
    assert pending.conclusions() == ["applied"]


def test_ready_applies_in_a_running_event_loop(pending: Site) -> None:
    load = "async def load(): django.setup()"
    started = run_python(
        *("-c", f"import asyncio, django\n{load}\nasyncio.run(load())"),
        data_dir=pending.data,
        DJANGO_SETTINGS_MODULE="taskdog.settings",
    )
    assert "restore applied" in started.err
    assert task_names(pending.database) == ["new"]


def test_files_that_a_killed_process_left_are_swept_at_the_start(pending: Site) -> None:
    (pending.data / "tasks.db.incoming-0123456789abcdef").write_bytes(b"half of an upload")
    (pending.data / "tasks.db.snapshot-0123456789abcdef").write_bytes(b"half of a snapshot")
    checked = pending.manage("check")
    assert "tasks.db.incoming-0123456789abcdef" in checked.err
    assert not [name for name in pending.names() if "incoming" in name or "snapshot-" in name]


def test_refused_restore_stops_no_start_and_is_told_once(pending: Site) -> None:
    (manifest,) = pending.data.glob("tasks.db.pending-restore.*.json")
    manifest.unlink()
    first, second = pending.manage("check"), pending.manage("check")
    assert (first.code, second.code) == (0, 0)
    assert "restore refused" in first.err
    assert "restore" not in second.err
    assert pending.conclusions() == ["refused"]
    assert task_names(pending.database) == ["old"]


@pytest.mark.proof
def test_older_snapshot_is_migrated_by_the_start_of_a_command(pending: Site) -> None:
    older = pending.data.parent / "snapshot.db"
    with closing(sqlite3.connect(older)) as connection:
        connection.executescript(
            "DROP TABLE django_session; DELETE FROM django_migrations WHERE app = 'sessions';"
        )
    pending.stage(older)
    assert "restore applied" in pending.manage("check").err
    with closing(sqlite3.connect(pending.database)) as connection:
        assert connection.execute("SELECT count(*) FROM django_session").fetchone() == (0,)
    assert pending.receipts()[-1]["migrations"] == ["sessions.0001_initial"]
    assert task_names(pending.database) == ["new"]


QUERIES = """
from django.db import connection, migrations
connection.introspection.table_names()
class Migration(migrations.Migration):
    operations = []
"""
GOES_ON = """
from django.db import connection
cursor = connection.cursor()
cursor.execute("INSERT INTO tags (name, created_at) VALUES ('written afterwards', '2026-11-26')")
cursor.execute("SELECT name FROM tasks")
print(cursor.fetchall())
"""


@pytest.mark.proof
@pytest.mark.filterwarnings("default:Accessing the database during app initialization")
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_migration_that_queries_while_it_is_imported_leaves_no_connection_to_the_old_file(
    mode: str, pending: Site, tmp_path: Path
) -> None:
    """Some do, e.g. Evennia's; the process that applies would go on with the old database."""
    package = tmp_path / "scripts" / "migrations"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "0001_initial.py").write_text(QUERIES)
    (tmp_path / "own_settings.py").write_text(
        "from taskdog.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'scripts']\n"
        "DATABASES['default']['OPTIONS'] = {}\n"
    )
    with closing(sqlite3.connect(pending.database)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    variables = {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "own_settings"}
    went_on = pending.manage("shell", "-c", GOES_ON, **variables)
    assert "restore applied" in went_on.err, went_on.err
    assert went_on.out.splitlines()[-1:] == ["[('new',)]"], went_on.err
    with closing(sqlite3.connect(pending.database)) as connection:
        assert connection.execute("SELECT name FROM tags").fetchall() == [("written afterwards",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
