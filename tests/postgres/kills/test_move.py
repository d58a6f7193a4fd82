"""
``kill -9`` at the statements of a move from SQLite, which a child of the restore sends.

The whole restore fails with a reason then. The live database, what is pending and the server are as
they were.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres.kills.statements import AFTER, BEFORE, EVERY
from tests.postgres.move.project import Project
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

SOME = 6  # of the moments, unless every one is asked for
MODELS = """
from django.db import models

class Account(models.Model):
    name = models.CharField(max_length=20)

class Line(models.Model):
    account = models.ForeignKey(Account, models.CASCADE)
    amount = models.DecimalField(max_digits=9, decimal_places=2)
"""
# Only in the child that moves: it counts its statements, and kills itself at one of them.
KILLER = """
from backups.conf import conf
BACKUPS_FOLDER = os.path.join(os.getcwd(), "folder")
if conf.is_child and "KILL_AT" in os.environ:
    import psycopg, signal
    real, seen = psycopg.Connection.wait, []
    def wait(self, *words, **options):
        seen.append(1)
        def reach(how):
            if os.environ["KILL_AT"] == f"{len(seen)} {how}":
                os.kill(os.getpid(), signal.SIGKILL)
        reach("before")
        done = real(self, *words, **options)
        reach("answered")
        with open("count", "w") as count:
            count.write(str(len(seen)))
        return done
    psycopg.Connection.wait = wait
"""


@pytest.fixture
def bank(postgres: Server, tmp_path: Path) -> Project:
    """A site with rows in SQLite, and another content in PostgreSQL."""
    project = Project(tmp_path, postgres, ("backups", "rest_framework", "bank"))
    project.app("bank", MODELS, migrations={})
    programs = f"BACKUPS_POSTGRES_PROGRAMS = {str(postgres.programs)!r}\n"
    project.write("settings.py", (tmp_path / "settings.py").read_text() + KILLER + programs)
    project.run("manage.py", "makemigrations", "bank", "-v0")
    project.migrate()
    for number in range(1, 51):
        project.execute(
            "INSERT INTO bank_account (id, name) VALUES (?, ?)", number, f"of SQLite {number}"
        )
        project.execute(
            "INSERT INTO bank_line (id, account_id, amount) VALUES (?, ?, 12.5)", number, number
        )
    project.run("manage.py", "backup", "-o", "snapshot.db")
    project.database = postgres.make_database()
    project.run("manage.py", "migrate", "-v0", on=project.database)
    project.shell(
        "from bank.models import Account; Account.objects.create(name='live')", on=project.database
    )
    return project


def restore(bank: Project, moment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "restore_db", "snapshot.db", "--yes"],
        cwd=bank.folder,
        env=bank.environment(bank.database) | {"KILL_AT": moment},
        capture_output=True,
        text=True,
        check=False,
    )


def databases(bank: Project) -> list[str]:
    query = "SELECT datname FROM pg_database WHERE datname LIKE '{}%' ORDER BY datname"
    return [name for (name,) in bank.server.admin(query.format(bank.database))]


def test_a_move_that_is_killed_at_any_statement_changes_nothing(bank: Project) -> None:
    whole = restore(bank, "never")
    assert whole.returncode == 0, whole.stderr
    discarded = bank.run("manage.py", "restore_db", "--discard", "--yes", on=bank.database)
    assert "iscarded" in discarded
    total = int((bank.folder / "count").read_text())
    assert total > 50
    step = 1 if EVERY else total // SOME
    before = databases(bank)
    for number in range(1, total + 1, step):
        for how in (BEFORE, AFTER):
            killed = restore(bank, f"{number} {how}")
            assert killed.returncode != 0, (number, how)
            assert "CommandError" in killed.stderr, killed.stderr
            assert "Traceback" not in killed.stderr, killed.stderr
            assert databases(bank) == before, (number, how)
            assert bank.query("SELECT name FROM bank_account") == [("live",)]
            status = bank.run("manage.py", "restore_db", "--status", on=bank.database)
            assert "Nothing is pending" in status
    assert restore(bank, "never").returncode == 0
    assert json.dumps(databases(bank)).count("_pending_restore") == 1
