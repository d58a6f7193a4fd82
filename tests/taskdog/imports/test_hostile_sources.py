"""What somebody else's folder may do to an import: be refused, in time, with nothing written."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pytest_django import Settings

from taskdog.imports.exceptions import UnusableSourceError
from taskdog.imports.plain_files import open_plain
from taskdog.imports.reader import MOST_CHARACTERS
from taskdog.imports.revisions import KNOWN
from taskdog.imports.services import MODELS, import_database
from taskdog.imports.source import open_source
from tests.processes import CHECKOUT, environment
from tests.taskdog.imports.builders import add_task, insert, make_database

NOTE = {"task_id": 1, "created_at": "2026-01-02 03:04:05", "updated_at": "2026-01-02 03:04:05"}
FORGED = "PRAGMA writable_schema=ON; "
ENDLESS = "length(hex(zeroblob(200000000 + a - a)))"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = make_database(folder / "tasks.db")
    add_task(path, 1)
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script)


def replaced(table: str, old: str, new: str) -> str:
    return (
        f"{FORGED}UPDATE sqlite_schema SET sql = replace(sql, '{old}', '{new}')"
        f" WHERE name = '{table}'"
    )


def slow_check(path: Path) -> None:
    rows = ", ".join(["(1)"] * 500)
    run(path, f"CREATE TABLE slow (a CHECK (a > 0)); INSERT INTO slow VALUES {rows}")
    run(path, replaced("slow", "a > 0", f"{ENDLESS} > a"))


def slow_view(path: Path) -> None:
    endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    run(path, f"ALTER TABLE tasks RENAME TO t; CREATE VIEW tasks AS {endless}")


def hidden_trigger(path: Path) -> None:
    trigger = "CREATE \ufeffTRIGGER evil AFTER INSERT ON tasks BEGIN DELETE FROM tasks; END"
    run(
        path,
        f"{FORGED}INSERT INTO sqlite_schema VALUES ('trigger', 'evil', 'tasks', 0, '{trigger}')",
    )


def eats_memory(path: Path) -> None:
    run(path, "CREATE TABLE fat (a CHECK (a > 0)); INSERT INTO fat VALUES (1)")
    run(path, replaced("fat", "a > 0", "length(hex(zeroblob(499000000)) || hex(a)) > 0"))


def long_note(path: Path) -> None:
    insert(path, "notes", content="x" * (MOST_CHARACTERS + 1), **NOTE)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (slow_check, "was not read within 1 seconds"),
        (slow_view, "not a database of taskdog's own server"),
        (hidden_trigger, "evil that is not written as SQLite writes it"),
        (eats_memory, "too much memory|not read within"),
        (
            long_note,
            "has a value of 10,485,761 characters in notes.content, where 1 is the task_id",
        ),
    ],
)
def test_database_that_does_harm_is_refused_with_nothing_written(
    spoil: Callable[[Path], None], reason: str, theirs: Path, scratch: Path, settings: Settings
) -> None:
    spoil(theirs)
    settings.BACKUPS_CHECK_SECONDS = 1
    before = theirs.read_bytes()
    with pytest.raises(UnusableSourceError, match=reason) as refused:
        import_database(theirs, scratch=scratch)
    assert str(theirs) in str(refused.value)
    assert not any(model._default_manager.exists() for model in MODELS)
    assert theirs.read_bytes() == before
    assert list(scratch.iterdir()) == []
    assert [path.name for path in theirs.parent.iterdir()] == ["tasks.db"]


def test_computed_column_does_not_stand_for_a_real_one(theirs: Path, scratch: Path) -> None:
    run(theirs, "ALTER TABLE tasks ADD COLUMN depends_too AS (hex(zeroblob(priority)))")
    with open_source(theirs, scratch=scratch) as source:
        assert "depends_too" not in source.tables["tasks"]


# Files that stand for others


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["note", "folder"])
def test_link_out_of_the_folder_is_not_followed(where: str, tmp_path: Path, scratch: Path) -> None:
    theirs, secret = tmp_path / "theirs", tmp_path / "secret"
    for folder in (theirs, secret):
        folder.mkdir()
    path = make_database(theirs / "tasks.db", KNOWN[0])
    add_task(path, 1)
    (secret / "1.md").write_text("of nobody's business")
    if where == "folder":
        (theirs / "notes").symlink_to(secret)
    else:
        (theirs / "notes").mkdir()
        (theirs / "notes" / "1.md").symlink_to(secret / "1.md")
    with pytest.raises(UnusableSourceError, match="a symbolic link out of its folder, to") as error:
        import_database(path, scratch=scratch)
    assert "of nobody's business" not in str(error.value)
    assert not any(model._default_manager.exists() for model in MODELS)


@pytest.mark.parametrize("part", ["", "-wal", "-journal"])
def test_pipe_that_nobody_writes_to_is_no_file(part: str, theirs: Path, scratch: Path) -> None:
    path = theirs.with_name(f"tasks.db{part}")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with (
        pytest.raises(UnusableSourceError, match="is not a file"),
        open_source(theirs, scratch=scratch),
    ):
        raise AssertionError("it was opened")
    assert list(scratch.iterdir()) == []


def test_link_to_a_file_beside_it_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("a note")
    (tmp_path / "1.md").symlink_to("real.md")
    with open_plain(tmp_path / "1.md", most_bytes=6) as content:
        assert content.read() == b"a note"


def test_file_that_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "1.md").write_text("a note")
    with pytest.raises(UnusableSourceError, match=r"1\.md has 6 bytes; the most is 5"):
        open_plain(tmp_path / "1.md", most_bytes=5)
    with pytest.raises(UnusableSourceError, match="is not a file"):
        open_plain(tmp_path, most_bytes=5)


def test_database_larger_than_an_upload_may_be_is_refused(
    theirs: Path, scratch: Path, settings: Settings
) -> None:
    settings.BACKUPS_MAX_UPLOAD_BYTES = 1000
    with (
        pytest.raises(UnusableSourceError, match="the most is 1,000"),
        open_source(theirs, scratch=scratch),
    ):
        raise AssertionError("it was opened")


# The process that reads

READ = """
import os, sys
from pathlib import Path
from taskdog.imports.reader import Reader
with Reader(Path(sys.argv[1]), Path(sys.argv[1]), seconds=600):
    print("read")
"""


def test_ctrl_c_ends_it_at_once(theirs: Path) -> None:
    """The check would go on for minutes, in a statement of SQLite that no signal ends."""
    slow_check(theirs)
    command = [sys.executable, "-c", READ, str(theirs)]
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=environment(theirs.parent),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reading:
        child = wait_for_child(reading.pid)
        reading.send_signal(signal.SIGINT)
        _, err = reading.communicate(timeout=60)
    assert b"KeyboardInterrupt" in err
    assert not Path(f"/proc/{child}").exists()


def wait_for_child(parent: int) -> int:
    """The first child that has begun with its database: it has its file open."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    while True:
        for child in children.read_text().split():
            files = Path(f"/proc/{child}/fd")
            try:
                if any("tasks.db" in os.readlink(each) for each in files.iterdir()):
                    return int(child)
            except FileNotFoundError:
                continue


def test_reader_that_is_killed_is_no_fault_of_the_file(theirs: Path, scratch: Path) -> None:
    with open_source(theirs, scratch=scratch) as source:
        source._reader._process.kill()
        with pytest.raises(UnusableSourceError, match="the process that reads it ended with -9"):
            list(source.rows("tasks", ["id"], order="id"))
