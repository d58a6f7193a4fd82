"""How a database is named to SQLite: also one whose name is not UTF-8."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backups.sqlite.format.connection import connect, database_file, name_in_sql, uri
from tests.backups import builders

NAMES = (b"plain", b"a b%20c?d#e&f", b"caf\xe9", "café".encode())


def folder_of(tmp_path: Path, name: bytes) -> Path:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_uri_names_the_very_file_and_leads_back_to_it(name: bytes, tmp_path: Path) -> None:
    path = builders.healthy(folder_of(tmp_path, name) / "tasks.db", "here")
    assert database_file(uri(path)) == path
    for mode in ("rw", "ro", "immutable"):
        with closing(connect(path, mode=mode)) as connection:
            assert connection.execute("SELECT name FROM items").fetchall() == [("here",)]


@pytest.mark.parametrize("name", NAMES)
def test_name_in_sql_can_be_given_to_a_statement(name: bytes, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, name)
    path = builders.healthy(folder / "tasks.db", "here")
    copy = folder / "copy.db"
    copy.touch()
    with closing(sqlite3.connect(uri(path), uri=True, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (name_in_sql(copy),))
        connection.execute("ATTACH ? AS copied", (name_in_sql(copy),))
        assert connection.execute("SELECT name FROM copied.items").fetchall() == [("here",)]
    assert set(os.listdir(folder)) == {"tasks.db", "copy.db"}


def test_path_that_begins_as_a_uri_does_is_taken_apart_byte_for_byte() -> None:
    assert os.fsencode(database_file("file:/srv/caf%E9/tasks.db?cache=private")) == (
        b"/srv/caf\xe9/tasks.db"
    )
    assert database_file(Path("/srv/a%20b.db")) == Path("/srv/a%20b.db")
