"""
The commands on the pages for 3 am do what the pages show, to the word.

A line that begins with ``$`` is run, and what it prints must be what stands below it. Of times,
ids, sizes and hashes only the form counts.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.backups.archive.stored_in import stored_files
from tests.processes import CHECKOUT, environment
from tests.site import Site, copy_site

pytestmark = pytest.mark.proof

SHOWN_FOLDER = "/srv/taskdog"  # what the pages call the folder of the site
ID = r"\b20\d{6}-\d{6}(?:-\d+)?\b"
# What differs from run to run, and what a reader sees in its place.
FORMS = (
    (r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?", "TIME"),
    (r"\b(SHA-256 )?[0-9a-f]{12}([0-9a-f]{52}|…)", "HASH"),
    (r"\b[\d.,]+ (kB|MB|bytes)|\b\d+(,\d{3}){2,}", "SIZE"),
    (r"\b[\d.]+ seconds", "SECONDS"),
    (r"\b[\d,]+ rows", "ROWS"),
    (r"\bpid \d+", "PID"),
    (r"Data corruption detected|Restored data doesn't match checksum", "DAMAGE"),
    (r"by [\w-]+ \(manage\.py\)|\b[\w-]+ \(manage\.py\)", "CALLER"),
    (r"\bage1[0-9a-z…]+", "KEY"),
    (ID, "ID"),
    (r"\s+", " "),
)
LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ .*\n", re.MULTILINE)


class Step(NamedTuple):
    """A command, and what it prints."""

    command: str
    printed: str


class Machine:
    """A machine with a site in a folder, and a shell in that folder."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.variables = variables
        self.writer: sqlite3.Connection | None = None  # that has the database locked
        self._ids: dict[str, str] = {}  # of the page's ids, those that are here in their place
        programs = folder.parent / "programs"
        programs.mkdir(exist_ok=True)
        manage = programs / "manage.py"
        manage.write_text(f'#!/bin/sh\nexec {sys.executable} {CHECKOUT}/manage.py "$@"\n')
        manage.chmod(0o755)
        self._path = f"{programs}:{os.environ['PATH']}"

    def run(self, command: str) -> str:
        """Run a line of the shell, and return what it prints but for the lines of the log."""
        variables = {"TASKDOG_BACKUP_STORAGE": str(self.folder / "data/backups")} | self.variables
        ended = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=environment(self.data, PATH=self._path, **variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return LOG_LINE.sub("", ended.stdout).replace(str(self.folder), SHOWN_FOLDER)

    def play(self, step: Step) -> str:
        """Run a step of a page with this machine's ids in place of the page's."""
        command = re.sub(ID, lambda match: self._ids.get(match[0], match[0]), step.command)
        printed = self.run(command)
        self._ids |= dict(zip(re.findall(ID, step.printed), re.findall(ID, printed), strict=False))
        return printed

    def add_task(self, name: str) -> None:
        """Add a row, as the site does."""
        self.run(f"manage.py shell -v0 -c \"Task.objects.create(name='{name}')\"")

    def tasks(self) -> list[str]:
        """The names in the live database."""
        with closing(sqlite3.connect(self.data / "tasks.db")) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM tasks ORDER BY id")]

    def stored(self) -> list[Path]:
        """The stored files, the oldest first."""
        return stored_files(self.data / "backups")


def in_form(printed: str) -> str:
    """What is printed, with the form of what differs in its place."""
    for pattern, form in FORMS:
        printed = re.sub(pattern, form, printed)
    return printed.strip()


def blocks(page: str, heading: str) -> list[str]:
    """The indented lines of a section of a page, in blocks."""
    text = (CHECKOUT / f"docs/{page}.md").read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"(?:^ {4,}.*\n)+", section, re.MULTILINE)


def steps(page: str, heading: str) -> list[Step]:
    """The steps of a section of a page."""
    found = []
    for block in blocks(page, heading):
        for part in re.split(r"^ *\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append(Step(command.partition("  #")[0].strip(), printed))
    return found


def lose_the_database(machine: Machine) -> None:
    for file in machine.data.glob("tasks.db*"):
        file.unlink()


def deploy_badly(machine: Machine) -> None:
    machine.variables["TASKDOG_BACKUP_BEFORE_MIGRATE"] = "1"
    machine.add_task("from before the deploy")
    machine.run("manage.py migrate tasks zero")


def restore_the_wrong_one(machine: Machine) -> None:
    machine.add_task("from today")
    machine.run("manage.py restore_db --from latest --yes && manage.py check")
    assert machine.tasks() == ["from yesterday"]


def lose_the_storage(machine: Machine) -> None:
    shutil.rmtree(machine.data / "backups")
    (machine.data / "backups").touch()


def damage_and_lose_stored_files(machine: Machine) -> None:
    machine.run("manage.py backup --store --label second && sleep 1")
    machine.run("manage.py backup --store --label third")
    first, second, _ = machine.stored()
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 255
    second.write_bytes(content)
    first.unlink()


def lose_the_key(machine: Machine) -> None:
    machine.run("manage.py backups keygen -o old.key")
    public = re.search("public key: (age1.*)", (machine.folder / "old.key").read_text())
    assert public
    machine.variables["TASKDOG_BACKUP_RECIPIENTS"] = public[1]
    machine.run("manage.py backup --store --label encrypted")
    (machine.folder / "old.key").unlink()


def fill_the_disk(machine: Machine) -> None:
    machine.variables["TASKDOG_KEEP_FREE_BYTES"] = str(10**15)  # more than there is


def lock_the_database(machine: Machine) -> None:
    machine.writer = sqlite3.connect(machine.data / "tasks.db", isolation_level=None)
    machine.writer.execute("BEGIN IMMEDIATE")


def set_the_schedule(machine: Machine) -> None:
    machine.variables["TASKDOG_BACKUP_SCHEDULE"] = "0 3 * * *"


def let_a_notice_fail(machine: Machine) -> None:
    machine.variables["TASKDOG_BACKUP_PING_URL"] = "http://127.0.0.1:9/ping"


def move(machine: Machine) -> None:
    machine.run("manage.py backups keygen -o taskdog.key")
    public = re.search("public key: (age1.*)", (machine.folder / "taskdog.key").read_text())
    assert public
    shutil.rmtree(machine.data / "backups")
    machine.variables |= {
        "TASKDOG_BACKUP_RECIPIENTS": public[1],
        "TASKDOG_BACKUP_STORAGE": str(machine.folder / "mnt"),
        "TASKDOG_BACKUP_SCHEDULE": "0 3 * * *",
    }
    machine.run("manage.py backups run-due --force")
    shutil.rmtree(machine.data)


def has_yesterdays(machine: Machine) -> None:
    assert machine.tasks() == ["from yesterday"]


def has_yesterdays_and_unlocks(machine: Machine) -> None:
    assert machine.writer
    machine.writer.close()
    has_yesterdays(machine)


def has_the_deploys(machine: Machine) -> None:
    assert machine.tasks() == ["from yesterday", "from before the deploy"]


def has_todays(machine: Machine) -> None:
    assert machine.tasks() == ["from yesterday", "from today"]


# They need other processes, a broken disk or a drill, and are tried in the tests of those.
ELSEWHERE = {
    "A restore is pending",
    "The disk is full",
    "The database is damaged",
    "The last download",
    "Set it up",
    "Can it be restored?",
}
Part = Callable[[Machine], None]
SITUATIONS: dict[tuple[str, str], tuple[Part, Part]] = {
    ("operations", "Go back"): (restore_the_wrong_one, has_todays),
    ("operations", "The database is lost"): (lose_the_database, has_yesterdays),
    ("operations", "A deploy went wrong"): (deploy_badly, has_the_deploys),
    ("operations", "The database is locked"): (lock_the_database, has_yesterdays_and_unlocks),
    ("operations", "The disk of the backups is full"): (fill_the_disk, has_yesterdays),
    ("operations", "The storage of the backups fails"): (lose_the_storage, has_yesterdays),
    ("operations", "A stored file is missing or damaged"): (
        damage_and_lose_stored_files,
        has_yesterdays,
    ),
    ("operations", "The secret key is lost"): (lose_the_key, has_yesterdays),
    ("operations", "The schedule is silent"): (set_the_schedule, has_yesterdays),
    ("operations", "A notice does not arrive"): (let_a_notice_fail, has_yesterdays),
    ("archive", "Move to a new machine"): (move, has_yesterdays),
}


@pytest.fixture
def machine(template_site: Site, tmp_path: Path) -> Machine:
    """One with a task, and a stored snapshot that has it."""
    copy_site(template_site, tmp_path / "taskdog/data")
    machine = Machine(tmp_path / "taskdog", {})
    machine.add_task("from yesterday")
    machine.run("manage.py backup --store")
    return machine


@pytest.mark.parametrize(("page", "heading"), SITUATIONS)
def test_situation_goes_as_the_page_shows(page: str, heading: str, machine: Machine) -> None:
    prepare, is_well = SITUATIONS[page, heading]
    prepare(machine)
    found = steps(page, heading)
    assert found
    for step in found:
        printed = machine.play(step)
        assert in_form(printed) == in_form(step.printed), f"{step.command}\n{printed}"
    is_well(machine)


@pytest.mark.parametrize("page", ["operations", "archive"])
def test_every_section_with_commands_that_are_shown_at_work_is_played(page: str) -> None:
    text = (CHECKOUT / f"docs/{page}.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    shown = {heading for heading in headings if steps(page, heading)}
    assert shown - ELSEWHERE == {heading for of, heading in SITUATIONS if of == page}


def test_stored_snapshot_is_restored_without_this_app(machine: Machine) -> None:
    move(machine)
    (stored,) = (machine.folder / "mnt").glob("*.age")
    lines = blocks("archive", "Restore without this app")[0]
    commands = lines.replace("taskdog-backup-20261126-030000.db.zst.age", f"mnt/{stored.name}")
    assert machine.run(f"set -e\n{commands}").endswith("ok\n")
    with closing(sqlite3.connect(machine.folder / "backup.db")) as connection:
        assert connection.execute("SELECT name FROM tasks").fetchall() == [("from yesterday",)]
