"""Which databases are imported, and that none of them is written to."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from taskdog.imports.exceptions import (
    ImportRefusedError,
    NewerRevisionError,
    UnusableSourceError,
)
from taskdog.imports.revisions import KNOWN, recognise
from taskdog.imports.source import open_source
from tests.taskdog.imports.builders import HEAD, add_task, insert, make_database


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A database of their newest revision, with a task."""
    path = make_database(tmp_path / "tasks.db")
    add_task(path, 1)
    return path


def revision_of(path: Path) -> str:
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    try:
        with open_source(path, scratch=scratch) as source:
            return source.revision
    finally:
        assert list(scratch.iterdir()) == []


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_the_newest_revision_is_read(theirs: Path) -> None:
    assert revision_of(theirs) == HEAD


def test_an_empty_version_table_is_the_first_revision(theirs: Path) -> None:
    execute(theirs, "DELETE FROM alembic_version")
    assert revision_of(theirs) == KNOWN[0]


def test_a_newer_revision_is_refused_by_name(theirs: Path) -> None:
    execute(theirs, "UPDATE alembic_version SET version_num = '007_add_task_version'")
    with pytest.raises(NewerRevisionError, match="007_add_task_version") as refused:
        revision_of(theirs)
    assert "update this site first" in str(refused.value)


def test_two_revisions_at_once_are_refused(theirs: Path) -> None:
    insert(theirs, "alembic_version", version_num=KNOWN[2])
    with pytest.raises(NewerRevisionError):
        revision_of(theirs)


def scribble(path: Path) -> None:
    """Overwrite a page in the middle."""
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 2 + 200] = b"\xff" * 200
    path.write_bytes(content)


def other_tables(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE tasks (id INTEGER, title TEXT)")


def view_of_tasks(path: Path) -> None:
    execute(path, "ALTER TABLE tasks RENAME TO real_tasks")
    execute(path, "CREATE VIEW tasks AS SELECT * FROM real_tasks")


def own_snapshot(path: Path) -> None:
    execute(path, "CREATE TABLE django_migrations (id INTEGER)")


def not_utf8(path: Path) -> None:
    execute(path, "UPDATE alembic_version SET version_num = CAST(x'ff' AS TEXT)")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 99), "not a database"),
        (lambda path: path.write_bytes(b""), "not a database of taskdog's own server"),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "malformed"),
        (scribble, "integrity check|malformed"),
        (other_tables, "not a database of taskdog's own server"),
        (view_of_tasks, "not a database of taskdog's own server"),
        (own_snapshot, "restore it with: manage.py restore_db"),
        (not_utf8, "UTF-8"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a file"),
        (lambda path: path.unlink(), "is not a file"),
    ],
)
def test_what_is_not_theirs_is_refused_and_left_alone(
    theirs: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(theirs)
    before = theirs.read_bytes() if theirs.is_file() else None
    with pytest.raises(UnusableSourceError, match=reason) as refused:
        revision_of(theirs)
    assert str(theirs) in str(refused.value)
    assert (theirs.read_bytes() if theirs.is_file() else None) == before
    assert {path.name for path in theirs.parent.iterdir()} <= {"tasks.db", "scratch"}


def test_every_refusal_is_of_one_kind() -> None:
    assert issubclass(UnusableSourceError, ImportRefusedError)
    assert issubclass(NewerRevisionError, ImportRefusedError)


def test_a_database_of_theirs_is_recognised_by_its_tables() -> None:
    columns = {"id", "name", "priority", "status", "created_at", "updated_at", "depends_on"}
    theirs = {"tasks": columns | {"is_archived"}, "tags": {"id"}}
    assert recognise(theirs).endswith("bring it in with 'manage.py import_taskdog PATH'.")
    assert recognise({"tasks": columns}) == ""
    assert recognise({"tags": {"id"}}) == ""
    assert recognise(theirs | {"django_migrations": {"id"}}) == ""
