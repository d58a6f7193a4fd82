"""The databases of this machine: one of DATABASES, or several."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backups.commands import Ended, end, run, start
from tests.backups.uploads import add_tasks
from tests.site import Site, task_names

pytestmark = pytest.mark.proof

SETTINGS = """
from taskdog.settings import *
DATABASES["other"] = DATABASES["default"] | {{"NAME": {other!r}}}
DATABASES["same"] = DATABASES["other"] | {{"NAME": {link!r}}}
DATABASES["absent"] = DATABASES["default"] | {{"NAME": {absent!r}}}
DATABASES["driverless"] = {{"ENGINE": "no.such.backend", "NAME": "x"}}
DATABASES["memory"] = {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""


class Two:
    """A site whose settings have a second database, and some that are none."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.folder = folder
        self.site, self.database = site, folder / "other" / "other.db"
        self.database.parent.mkdir()
        self.database.write_bytes(site.database.read_bytes())
        (folder / "link.db").symlink_to(self.database)
        (folder / "absent").mkdir()
        self.absent = folder / "absent"
        (folder / "two_settings.py").write_text(
            SETTINGS.format(
                other=str(self.database),
                link=str(folder / "link.db"),
                absent=str(self.absent / "none.db"),
            )
        )
        self.variables = {
            "PYTHONPATH": str(folder),
            "DJANGO_SETTINGS_MODULE": "two_settings",
        }

    def put_first(self, database: Path) -> None:
        """Let the first one of DATABASES be there."""
        with (self.folder / "two_settings.py").open("a") as settings:
            settings.write(f'DATABASES["default"] |= {{"NAME": {str(database)!r}}}\n')

    def run(self, *arguments: str) -> Ended:
        return run(self.site, *arguments, variables=self.variables)

    def add(self, name: str) -> None:
        """Commit a task to the second database."""
        add_tasks(self.database, name)

    @contextmanager
    def in_use(self, code: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """Another process of the site, which is there for as long as this, and runs this code."""
        process = start(
            self.site,
            "shell",
            "-c",
            f"import sys; print('here', flush=True); {code or 'pass'}; sys.stdin.read()",
            variables=self.variables,
        )
        wait_for(process, b"here")
        yield process
        end(process)


def wait_for(process: subprocess.Popen[bytes], word: bytes) -> None:
    """Read what it prints until this word comes."""
    assert process.stdout is not None
    while word not in (line := process.stdout.readline()):
        assert line, "it has ended"


@pytest.fixture
def two(site: Site, tmp_path: Path) -> Two:
    return Two(site, tmp_path)


def test_other_database_is_backed_up_and_put_back_by_the_next_start(
    two: Two, tmp_path: Path
) -> None:
    two.add("kept")
    add_tasks(two.site.database, "of the first")
    taken = two.run("backup", "--database", "other", "-o", str(tmp_path))
    assert taken.code == 0, taken.err
    assert "taskdog-other-backup-" in taken.out
    two.add("added later")

    staged = two.run("restore_db", taken.out.strip(), "--yes", "--database", "other")
    assert staged.code == 0, staged.err
    assert "other.db.pre-restore-" in staged.out
    assert "Nothing is pending" in two.run("restore_db", "--status").out
    assert "Pending on" in two.run("restore_db", "--status", "--database", "other").out

    assert "restore applied" in two.run("check").err
    assert task_names(two.database) == ["kept"]
    assert task_names(two.site.database) == ["of the first"]
    undone = two.run("restore_db", "--undo", "--now", "--yes", "--database", "other")
    assert undone.code == 0, undone.err
    assert task_names(two.database) == ["kept", "added later"]


def test_other_database_waits_for_every_process_of_the_site(two: Two, tmp_path: Path) -> None:
    two.add("live")
    two.run("backup", "--database", "other", "-o", str(tmp_path / "snapshot.db"))
    two.add("added later")
    with two.in_use():
        two.run("restore_db", str(tmp_path / "snapshot.db"), "--yes", "--database", "other")
        assert "is in use by pid" in two.run("check").err
        assert task_names(two.database) == ["live", "added later"]
    assert "restore applied" in two.run("check").err
    assert task_names(two.database) == ["live"]


def test_own_files_of_the_other_database_are_no_destination_and_no_source(two: Two) -> None:
    before = two.database.read_bytes()
    written = two.run("backup", "-o", str(two.database), "--force")
    assert "reserved for files of the live database" in written.err
    read = two.run("restore_db", str(two.database), "--yes")
    assert "is the live database" in read.err
    assert two.database.read_bytes() == before


def test_database_that_is_not_there_gets_no_lock_file(two: Two) -> None:
    assert two.run("check").code == 0
    assert list(two.absent.iterdir()) == []
    assert sorted(path.name for path in two.database.parent.iterdir()) == [
        "other.db",
        "other.db.lock",
    ]


def test_database_that_appears_later_waits_for_who_uses_it(two: Two, tmp_path: Path) -> None:
    later = two.absent / "none.db"
    with two.in_use(
        "input(); from django.db import connections;"
        " connections['absent'].cursor().execute('SELECT * FROM tasks'); print('in', flush=True)"
    ) as process:
        later.write_bytes(two.database.read_bytes())
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        wait_for(process, b"in")
        two.run("backup", "--database", "absent", "-o", str(tmp_path / "snapshot.db"))
        add_tasks(later, "added later")
        two.run("restore_db", str(tmp_path / "snapshot.db"), "--yes", "--database", "absent")
        assert "is in use by pid" in two.run("check").err
        assert task_names(later) == ["added later"]
    assert "restore applied" in two.run("check").err
    assert task_names(later) == []


def test_first_database_that_is_out_of_reach_leaves_the_others_protected(
    two: Two, tmp_path: Path
) -> None:
    """Its folder may be a volume that is not mounted."""
    two.put_first(tmp_path / "unmounted" / "tasks.db")
    two.run("backup", "--database", "other", "-o", str(tmp_path / "snapshot.db"))
    two.add("added later")
    with two.in_use():
        two.run("restore_db", str(tmp_path / "snapshot.db"), "--yes", "--database", "other")
        assert "is in use by pid" in two.run("check").err
        assert task_names(two.database) == ["added later"]
    assert "restore applied" in two.run("check").err
    assert task_names(two.database) == []


def test_first_database_that_appears_later_waits_for_who_uses_it(two: Two, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    two.put_first(volume / "tasks.db")
    with two.in_use(
        "input(); from django.db import connection;"
        " connection.cursor().execute('SELECT * FROM tasks'); print('in', flush=True)"
    ) as process:
        volume.mkdir()
        (volume / "tasks.db").write_bytes(two.database.read_bytes())
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        wait_for(process, b"in")
        two.run("backup", "-o", str(tmp_path / "snapshot.db"))
        add_tasks(volume / "tasks.db", "added later")
        two.run("restore_db", str(tmp_path / "snapshot.db"), "--yes")
        assert "is in use by pid" in two.run("check").err
        assert task_names(volume / "tasks.db") == ["added later"]
    assert "restore applied" in two.run("check").err


def test_other_database_that_cannot_be_locked_spoils_no_start(two: Two) -> None:
    (two.database.parent / "other.db.lock").mkdir()
    checked = two.run("check")
    assert checked.code == 0
    assert "WARNING" not in checked.err
    assert checked.err.count("no restore of the database 'other' can be applied") <= 1
    assert two.run("restore_db", "--status").code == 0


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("nope", "There is no database 'nope' in DATABASES. Choose one of: default, other,"),
        ("memory", "in memory"),
    ],
)
@pytest.mark.parametrize("command", ["backup", "restore_db --status"])
def test_alias_that_cannot_be_backed_up_is_an_error_in_a_sentence(
    two: Two, alias: str, words: str, command: str
) -> None:
    ended = two.run(*command.split(), "--database", alias)
    assert ended.code == 1
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_database_is_for_this_machine_only(two: Two) -> None:
    ended = two.run("backup", "--database", "other", "--url", "http://127.0.0.1:1")
    assert ended.code == 1
    assert "--database is for this machine's databases" in ended.err
