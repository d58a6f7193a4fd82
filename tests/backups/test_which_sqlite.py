"""Which SQLite a process works with, and its children. Each case is a process of its own."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from backups.which_sqlite import has_wal_reset_bug
from tests.processes import CHECKOUT

# A package that may stand for sqlite3: Python's own library, by another number.
NEWER = """
from _sqlite3 import *
from _sqlite3 import Connection
sqlite_version = {version!r}
sqlite_version_info = tuple(map(int, sqlite_version.split(".")))
"""
OWN = '__import__("_sqlite3").sqlite_version = "3.40.1"\n'
USE = "from backups.which_sqlite import use_pysqlite3; use_pysqlite3()\n"
TELL = 'import sqlite3; print(sqlite3.__name__, __import__("sqlite3.dbapi2").__name__)\n'
TELL_CHILD = """
from backups.processes import spawn
print(spawn.run_module("who", with_site=WITH_SITE).stdout.decode())
"""
WHO = """
import os, sqlite3
from sqlite3 import dbapi2

from backups.processes.spawn import answering

def main():
    with answering() as answer:
        answer.write(f"{sqlite3.__name__} {dbapi2.Connection is sqlite3.Connection}")
"""


def package(folder: Path, version: str, name: str = "pysqlite3") -> Path:
    """Install what may stand for sqlite3."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(
        f"from {name} import dbapi2\nfrom {name}.dbapi2 import *\n" + NEWER.format(version=version)
    )
    (folder / name / "dbapi2.py").write_text(NEWER.format(version=version))
    (folder / "who.py").write_text(WHO)
    return folder


def run(script: str, folder: Path) -> tuple[str, str]:
    """What a process of its own says: its output, and its errors."""
    ended = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip(), ended.stderr


@pytest.mark.parametrize(
    ("version", "has_bug"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 44, 7), False),
        ((3, 45, 0), True),
        ((3, 46, 1), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 50, 12), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
        ((4, 0, 0), False),
    ],
)
def test_branches_with_the_bug_are_known(version: tuple[int, int, int], has_bug: bool) -> None:
    assert has_wal_reset_bug(version) is has_bug


def test_newer_sqlite_takes_the_place_of_one_with_the_bug(tmp_path: Path) -> None:
    folder = package(tmp_path, "3.99.0")
    assert run(OWN + USE + USE + TELL, folder) == ("pysqlite3 pysqlite3", "")


@pytest.mark.parametrize(
    ("own", "version"),
    [("3.51.3", "3.99.0"), ("3.40.1", "3.51.2")],
    ids=["own has no bug", "other has it too"],
)
def test_own_sqlite_stays_where_another_is_no_better(
    own: str, version: str, tmp_path: Path
) -> None:
    script = OWN.replace("3.40.1", own) + USE + TELL
    assert run(script, package(tmp_path, version)) == ("sqlite3 sqlite3", "")


def test_own_sqlite_stays_where_there_is_no_other(tmp_path: Path) -> None:
    assert run(OWN + USE + TELL, tmp_path) == ("sqlite3 sqlite3", "")


def test_two_libraries_are_never_used_in_one_process(tmp_path: Path) -> None:
    folder = package(tmp_path, "3.99.0")
    out, err = run(OWN + "import sqlite3\n" + USE + TELL, folder)
    assert out == "sqlite3 sqlite3"
    assert "sqlite3, which is imported already: this process stays on SQLite" in err


@pytest.mark.parametrize("with_site", [True, False])
@pytest.mark.parametrize(
    "swap",
    [
        'import sys, pysqlite3; sys.modules["sqlite3"] = pysqlite3\n',
        'import sys, pysqlite3\nsys.modules["sqlite3"] = sys.modules.pop("pysqlite3")\n',
        'import sys, other; sys.modules["sqlite3"] = other\n',
        "",
    ],
    ids=["swapped", "swapped and popped", "another", "own"],
)
def test_child_uses_the_sqlite_of_its_parent(swap: str, with_site: bool, tmp_path: Path) -> None:
    package(tmp_path / "more", "3.99.0", "other")
    package(tmp_path, "3.99.0")
    script = 'import sys; sys.path.append("' + str(tmp_path / "more") + '")\n' + swap
    out, err = run(script + TELL_CHILD.replace("WITH_SITE", repr(with_site)), tmp_path)
    name = "other" if "other" in swap else "pysqlite3" if swap else "sqlite3"
    assert (out, err) == (f"{name} True", "")


def test_python_for_children_has_to_have_what_stands_for_sqlite(tmp_path: Path) -> None:
    folder = package(tmp_path, "3.99.0")
    script = """
    import sys, pysqlite3
    sys.modules["sqlite3"] = pysqlite3
    from backups.processes.interpreter import explain_unfit
    print([explain_unfit(sys.executable)])
    sys.path.remove(FOLDER)
    print([explain_unfit(sys.executable)])
    """.replace("FOLDER", repr(str(folder)))
    out, _ = run(textwrap.dedent(script), folder)
    assert out.splitlines() == ["['']", '["can\'t import pysqlite3"]']


def test_site_and_its_own_connections_use_one_library(tmp_path: Path) -> None:
    """With the SQLite that these tests run on, whichever that is."""
    script = """
    import json, taskdog, sqlite3
    from django.db.backends.sqlite3.base import Database
    from backups.sqlite.format.connection import connect
    print(json.dumps([sqlite3.sqlite_version, Database.Error is sqlite3.Error,
        Database.sqlite_version, taskdog.__name__]))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(out) == [sqlite3.sqlite_version, True, sqlite3.sqlite_version, "taskdog"]


def test_extended_code_of_an_error_is_known_whichever_sqlite_it_is(tmp_path: Path) -> None:
    from backups.sqlite.format.connection import connect

    path = tmp_path / "x.db"
    path.touch()
    with closing(connect(path, extended_codes=True)) as connection:
        connection.execute("CREATE TABLE names (name UNIQUE)")
        connection.execute("INSERT INTO names VALUES ('one')")
        with pytest.raises(sqlite3.DatabaseError) as caught:
            connection.execute("INSERT INTO names VALUES ('one')")
    assert caught.value.sqlite_errorcode == 2067  # SQLITE_CONSTRAINT_UNIQUE
