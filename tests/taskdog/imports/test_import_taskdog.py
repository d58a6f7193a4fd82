"""The command, on a real site."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import CHECKOUT, environment
from tests.site import Site
from tests.taskdog.imports.builders import add_task, insert, make_database

pytestmark = pytest.mark.proof


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A database of taskdog's own server: two tasks, the first of which was deleted."""
    path = make_database(tmp_path / "theirs" / "tasks.db")
    add_task(path, 2, "kept", depends_on="[1]")
    add_task(path, 3, "of theirs")
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    return folder


def test_it_tells_what_came_over_and_what_did_not(site: Site, theirs: Path) -> None:
    before = theirs.read_bytes()
    out, err, code = site.manage("import_taskdog", str(theirs))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"Imported from {theirs} (006_remove_daily_allocations_json):"
    assert "          2  tasks" in out.splitlines()
    assert (
        "  task 2: its dependency on task 1 is dropped: that task does not exist"
        in out.splitlines()
    )
    assert site.task_names() == ["kept", "of theirs"]
    assert theirs.read_bytes() == before
    assert [path.name for path in theirs.parent.iterdir()] == ["tasks.db"]


def test_the_server_serves_what_came_over(site: Site, theirs: Path) -> None:
    insert(theirs, "tags", id=1, name="work", created_at="2026-01-02 03:04:05.000000")
    insert(theirs, "task_tags", task_id=3, tag_id=1)
    assert site.manage("import_taskdog", str(theirs)).code == 0
    with site.serving() as server:
        shown = server.api("GET", "tasks/3").json()
        assert (shown["name"], shown["tags"]) == ("of theirs", ["work"])
        assert shown["created_at"] == "2026-01-02T03:04:05.678901"
        server.add_task("next")
        assert server.api("GET", "tasks/4").json()["name"] == "next"


def test_a_dry_run_changes_nothing(site: Site, theirs: Path) -> None:
    out, _, code = site.manage("import_taskdog", str(theirs), "--dry-run")
    assert (code, out.partition(" ")[0]) == (0, "Would")
    assert site.task_names() == []


@pytest.mark.parametrize("lost", [">/dev/full", ">&-"])
def test_what_came_over_is_told_on_standard_error_if_need_be(
    site: Site, theirs: Path, lost: str
) -> None:
    variables = environment(site.data, **site.variables)
    variables.pop("PYTHONUNBUFFERED", None)  # what is buffered fails later
    ended = subprocess.run(
        f"{sys.executable} {CHECKOUT}/manage.py import_taskdog {theirs} {lost}",
        shell=True,
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert f"Imported from {theirs}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert site.task_names() == ["kept", "of theirs"]


def test_a_store_with_a_task_is_refused(site: Site, theirs: Path) -> None:
    with site.serving() as server:
        server.add_task("ours")
    out, err, code = site.manage("import_taskdog", str(theirs))
    assert (out, code) == ("", 1)
    assert "Nothing was imported. This site's store is not empty" in err
    assert site.task_names() == ["ours"]


def test_a_store_without_tables_is_refused(tmp_path: Path, theirs: Path) -> None:
    out, err, code = Site(tmp_path / "new", "").manage("import_taskdog", str(theirs))
    assert (out, code) == ("", 1)
    assert "manage.py migrate" in err


def test_the_live_database_is_refused(site: Site) -> None:
    out, err, code = site.manage("import_taskdog", str(site.database))
    assert (out, code) == ("", 1)
    assert "is the live database" in err


def test_a_snapshot_of_this_site_is_refused_with_the_right_command(
    site: Site, snapshot: Path
) -> None:
    out, err, code = site.manage("import_taskdog", str(snapshot))
    assert (out, code) == ("", 1)
    assert f"manage.py restore_db {snapshot}" in err


def test_a_locked_store_is_told_without_a_traceback(
    site: Site, theirs: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "impatient.py"
    settings.write_text(
        "from taskdog.settings import *\nDATABASES['default']['OPTIONS']['timeout'] = 0.01\n"
    )
    with closing(sqlite3.connect(site.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        out, err, code = site.manage(
            "import_taskdog",
            str(theirs),
            DJANGO_SETTINGS_MODULE="impatient",
            PYTHONPATH=str(tmp_path),
        )
    assert (out, code) == ("", 1)
    assert "Nothing was imported. database is locked" in err
    assert "Traceback" not in err


# A pause is put before the last step; the kill is a real one.
PAUSED = """
import sys
from django.core.management import execute_from_command_line
import django
django.setup()
from taskdog.imports import rows
def wait(*arguments, **named):
    print("paused", flush=True)
    sys.stdin.read()
rows.audit_logs = wait
execute_from_command_line(["manage.py", "import_taskdog", sys.argv[1]])
"""


def test_a_kill_in_the_middle_leaves_the_store_empty(site: Site, theirs: Path) -> None:
    variables = {"DJANGO_SETTINGS_MODULE": "taskdog.settings"}
    with subprocess.Popen(
        [sys.executable, "-c", PAUSED, str(theirs)],
        cwd=CHECKOUT,
        env=environment(site.data, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as importer:
        assert importer.stdout is not None
        assert importer.stdout.readline() == b"paused\n"
        os.kill(importer.pid, signal.SIGKILL)
        importer.wait()
    assert site.task_names() == []
    assert len(list(site.data.glob(".import-*"))) == 1, "what the kill left"

    assert site.manage("import_taskdog", str(theirs)).code == 0
    assert site.task_names() == ["kept", "of theirs"]
    assert list(site.data.glob(".import-*")) == []
