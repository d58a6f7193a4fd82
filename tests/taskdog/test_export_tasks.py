"""The command, on a real site."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import CHECKOUT, environment
from tests.site import Site

pytestmark = pytest.mark.proof


@pytest.fixture
def filled(site: Site) -> Site:
    """A site with three tasks; the third is archived, and the second is done and tagged."""
    for task_id, status, deadline, archived in (
        (1, "PENDING", "'2026-05-01 18:00:00'", "FALSE"),
        (2, "COMPLETED", "NULL", "FALSE"),
        (3, "PENDING", "NULL", "TRUE"),
    ):
        site.ask(
            "INSERT INTO tasks (id, name, status, created_at, updated_at, is_fixed, is_archived,"
            f" deadline) VALUES ({task_id}, 'Grün {task_id}', '{status}', '2026-01-02',"
            f" '2026-01-02', FALSE, {archived}, {deadline})"
        )
    site.ask("INSERT INTO tags (id, name, created_at) VALUES (1, 'work', '2026-01-02')")
    site.ask("INSERT INTO task_tags (id, task_id, tag_id) VALUES (1, 2, 1)")
    return site


def ids(site: Site, *arguments: str) -> list[int]:
    finished = site.manage("export_tasks", "--fields", "id", *arguments)
    assert (finished.err, finished.code) == ("", 0)
    return [task["id"] for task in json.loads(finished.out)]


def test_tasks_that_are_not_archived_go_to_standard_output(filled: Site) -> None:
    out, err, code = filled.manage("export_tasks", "--fields", "id, name", "--format", "markdown")
    assert (err, code) == ("", 0)
    assert out == "|Id|Name|\n|--|--|\n|1|Grün 1|\n|2|Grün 2|\n"


def test_filters_are_those_of_the_command_line(filled: Site) -> None:
    assert ids(filled, "--all") == ids(filled, "-a", "-o", "-") == [1, 2, 3]
    assert ids(filled, "--status", "completed") == [2]
    assert ids(filled, "-t", "work", "--tag", "other") == [2]
    assert ids(filled, "-s", "2026-05-01", "-e", "2026-05-01") == [1]
    assert ids(filled, "--start-date", "2026-05-02") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fields", "id,colour"], "unknown column: colour"),
        (["--status", "lost"], "invalid choice"),
        (["--format", "xml"], "invalid choice"),
        (["--start-date", "soon"], "Invalid date format"),
    ],
)
def test_what_there_is_not_is_refused(site: Site, arguments: list[str], words: str) -> None:
    out, err, code = site.manage("export_tasks", *arguments)
    assert (out, code) == ("", 2)
    assert words in err


def test_a_file_is_written_whole_and_for_its_owner(filled: Site, tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    finished = filled.manage("export_tasks", "--format", "csv", "--fields", "id", "-o", str(path))
    assert finished == (f"Exported 2 tasks to {path}\n", "", 0)
    assert path.read_bytes() == b"id\r\n1\r\n2\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each for each in tmp_path.iterdir() if each.is_file()] == [path]


def test_a_file_that_exists_is_replaced_only_by_force(filled: Site, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text("precious")
    out, err, code = filled.manage("export_tasks", "-o", str(path))
    assert (out, code) == ("", 1)
    assert "already exists" in err
    assert path.read_text() == "precious"
    assert filled.manage("export_tasks", "-o", str(path), "--force").code == 0
    assert len(json.loads(path.read_text())) == 2


def test_the_live_database_is_not_written_over(filled: Site) -> None:
    before = filled.files()
    out, err, code = filled.manage("export_tasks", "-o", str(filled.database), "--force")
    assert (out, code) == ("", 1)
    assert "reserved for files of the live database" in err
    assert filled.files()["tasks.db"] == before["tasks.db"]


# A pause is put after the first task; all else is the command itself.
PAUSED = """
import sys
import django
from django.core.management import execute_from_command_line
django.setup()
from taskdog.management.commands import export_tasks
stream = export_tasks.stream_tasks
def paused(**filters):
    tasks = stream(**filters)
    yield next(tasks)
    print("paused", flush=True)
    sys.stdin.readline()
    yield from tasks
export_tasks.stream_tasks = paused
from taskdog.tasks import selectors
selectors.STREAM_BATCH = 1
execute_from_command_line(["manage.py", "export_tasks", *sys.argv[1:]])
"""


def paused(site: Site, *arguments: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, *arguments],
        cwd=CHECKOUT,
        env=environment(site.data, DJANGO_SETTINGS_MODULE="taskdog.settings"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"paused\n"
    return process


def test_an_export_is_of_one_moment_and_keeps_nobody_from_writing(
    filled: Site, tmp_path: Path
) -> None:
    path = tmp_path / "tasks.json"
    process = paused(filled, "-o", str(path), "--fields", "name")
    filled.ask("UPDATE tasks SET name = 'written meanwhile'")
    process.communicate(b"\n", timeout=60)
    assert process.returncode == 0
    assert json.loads(path.read_text()) == [{"name": "Grün 1"}, {"name": "Grün 2"}]


def test_an_export_that_is_stopped_leaves_no_part_of_a_file(filled: Site, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    process = paused(filled, "-o", str(path))
    assert [each.suffix for each in tmp_path.glob("tasks.json*")] == [".part"]
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted" in err
    assert list(tmp_path.glob("tasks.json*")) == []
