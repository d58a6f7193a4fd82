"""docs/scaling.md, played: to PostgreSQL with every row, and back in three ways."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.postgres.server import Server
from tests.postgres.stores import drop_all
from tests.processes import CHECKOUT
from tests.site import Site, copy_site
from tests.test_operations import Machine, Step, blocks, in_form, steps

pytestmark = pytest.mark.postgres

MOVE = "Move to PostgreSQL"
URL = "TASKDOG_DATABASE_URL"
KEPT = re.compile(r"(_pre_restore_)\d{8}-\d{6}(-\d+)?")
# Each with its key.
TABLES = {"tasks": "id", "notes": "task_id", "audit_logs": "id", "django_migrations": "id"}
FILL = """
from taskdog.tasks.models import Note
Task.objects.bulk_create(Task(name=f'task {n}', priority=n + 1) for n in range(201))
Note.objects.create(task=Task.objects.first(), content='of the first')
"""

NOTE = "\n  a list:\r\n\t- \x1b[1mone\x1b[0m  \n\n"  # what a format of text may lose


class MovingMachine(Machine):
    """A machine whose shell keeps what is exported, and whose server has a port of its own."""

    def __init__(self, folder: Path, server: Server) -> None:
        super().__init__(folder, {})
        self._server = server
        self._path = f"{server.programs}:{self._path}"  # as a package of its release puts them

    def play(self, step: Step) -> str:
        if match := re.fullmatch(rf"export {URL}=(\S+)", step.command):
            self.variables[URL] = match[1].replace(
                "@127.0.0.1/", f"@127.0.0.1:{self._server.port}/"
            )
            return ""
        if step.command == f"unset {URL}":
            del self.variables[URL]
            return ""
        return super().play(step)


@pytest.fixture
def machine(postgres: Server, template_site: Site, tmp_path: Path) -> Iterator[MovingMachine]:
    """One with a site on SQLite that has rows, beside a server as the page sets it up."""
    copy_site(template_site, tmp_path / "taskdog/data")
    made = MovingMachine(tmp_path / "taskdog", postgres)
    made.run(f'manage.py shell -v0 -c "{FILL}"')
    made.run("manage.py backup --store")  # a row of the audit log
    statements = re.findall(r'-c "(CREATE [^"]+)"', blocks("scaling", MOVE)[0])
    for statement in statements:
        postgres.admin(statement)
    yield made
    found = postgres.admin("SELECT datname FROM pg_database WHERE datname LIKE 'taskdog%'")
    drop_all(postgres, [name for (name,) in found])
    postgres.admin("DROP ROLE taskdog")


def in_shown_form(printed: str) -> str:
    """What is printed, with the form of what differs in its place."""
    return in_form(KEPT.sub(r"\1TIME", printed))


def check_rows(machine: MovingMachine) -> None:
    """Every row of the snapshot is in PostgreSQL, by its id."""
    with (
        closing(sqlite3.connect(machine.folder / "move.db")) as old,
        psycopg.connect(machine.variables[URL]) as new,
    ):
        for table, key in TABLES.items():
            sent = {each for (each,) in old.execute(f"SELECT {key} FROM {table}")}
            came = {each for (each,) in new.execute(f"SELECT {key} FROM {table}".encode())}
            assert sent, table
            assert sent <= came
            assert table == "audit_logs" or sent == came


def play_the_move(machine: MovingMachine, last: str = "") -> None:
    """Play the section, up to the step that begins with these words if there are any."""
    found = steps("scaling", MOVE)
    assert found
    for step in found:
        if last and step.command.startswith(last):
            return
        printed = machine.play(step)
        assert in_shown_form(printed) == in_shown_form(step.printed), f"{step.command}\n{printed}"
        if step.command.startswith("manage.py restore_db move.db"):
            check_rows(machine)
    assert not last, "the page has no such step"


def test_site_moves_to_postgresql_and_back_as_the_page_shows(machine: MovingMachine) -> None:
    play_the_move(machine)
    assert len(machine.tasks()) == 201


def test_rows_that_were_written_on_postgresql_go_back_as_the_page_says(
    machine: MovingMachine,
) -> None:
    play_the_move(machine, "manage.py restore_db --undo")
    machine.add_task("written on PostgreSQL")
    with psycopg.connect(machine.variables[URL]) as new:
        new.execute("UPDATE notes SET content = %s", [NOTE])
        notes = new.execute("SELECT content, to_char(updated_at, 'US') FROM notes").fetchall()
    machine.run("manage.py export_tasks --all -o moved.json")
    (commands,) = (each for each in blocks("scaling", MOVE) if "dumpdata" in each)
    machine.run(f"set -e\n{commands}")
    del machine.variables[URL]
    assert machine.tasks()[-1] == "written on PostgreSQL"
    machine.run("manage.py export_tasks --all -o back.json")
    moved, back = (machine.folder / name for name in ("moved.json", "back.json"))
    assert back.read_text() == moved.read_text()
    with closing(sqlite3.connect(machine.data / "tasks.db")) as old:
        found = old.execute("SELECT content, substr(updated_at, 21) FROM notes").fetchall()
    assert found == notes


def test_values_that_postgresql_cannot_hold_are_named_as_the_page_shows(
    machine: MovingMachine,
) -> None:
    with closing(sqlite3.connect(machine.data / "tasks.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM task_tags")
        connection.execute("DELETE FROM notes")
        connection.execute("DELETE FROM tasks WHERE id > 2")
        connection.execute("UPDATE tasks SET name = 'a' || char(0) || 'b' WHERE id = 1")
        connection.execute("UPDATE tasks SET priority = 1e20 WHERE id = 2")
    machine.run("manage.py backup -o move.db")
    export = next(step for step in steps("scaling", MOVE) if step.command.startswith("export"))
    machine.play(export)
    (shown,) = (each for each in blocks("scaling", MOVE) if "CommandError" in each)
    printed = machine.run("manage.py migrate -v0; manage.py restore_db move.db --yes")
    assert " ".join(shown.split()) in " ".join(printed.split())


def test_a_nul_is_mended_as_the_page_says(machine: MovingMachine) -> None:
    page = (CHECKOUT / "docs/scaling.md").read_text()
    (command,) = re.findall(r"`has a NUL character` \|.*`(manage\.py .+)` \|", page)
    with closing(sqlite3.connect(machine.data / "tasks.db", isolation_level=None)) as connection:
        connection.execute("UPDATE tasks SET name = 'a' || char(0) || 'b' WHERE id = 1")
        machine.run(command)
        assert connection.execute("SELECT name FROM tasks WHERE id = 1").fetchone() == ("ab",)
