"""Commands of a project that have the names of ours, in an app that is made for it."""

from pathlib import Path

import pytest

from tests.processes import Finished, run_manage

pytestmark = pytest.mark.proof

THEIRS = """
from django.core.management.base import BaseCommand
class Command(BaseCommand):
    def handle(self, **options):
        self.stdout.write("the project's own")
"""
IN_OUR_WORDS = """
from backups.management.commands.backup_db import Command as Ours
class Command(Ours):
    help = "Ours, in the words of the project."
"""


class Project:
    """The site with one more app, which has these commands."""

    def __init__(self, folder: Path, *, first: bool = False, **commands: str) -> None:
        self._folder = folder
        app = folder / "bookmarks" / "management" / "commands"
        app.mkdir(parents=True)
        for package in (app, app.parent, app.parent.parent):
            (package / "__init__.py").touch()
        for name, source in commands.items():
            (app / f"{name}.py").write_text(source)
        others = "['bookmarks', *INSTALLED_APPS]" if first else "[*INSTALLED_APPS, 'bookmarks']"
        (folder / "own_settings.py").write_text(
            f"from taskdog.settings import *\nINSTALLED_APPS = {others}\n"
        )

    def manage(self, *arguments: str) -> Finished:
        variables = {"PYTHONPATH": str(self._folder), "DJANGO_SETTINGS_MODULE": "own_settings"}
        return run_manage(*arguments, data_dir=self._folder / "data", **variables)


@pytest.mark.parametrize("first", [True, False], ids=["in front", "behind"])
def test_project_keeps_its_backup_command_and_ours_has_another_name(
    first: bool, tmp_path: Path
) -> None:
    project = Project(tmp_path, first=first, backup=THEIRS)
    assert project.manage("backup").out == "the project's own\n"
    checked = project.manage("check")
    assert "'manage.py backup' runs the command of 'bookmarks', not the one of this app." in (
        checked.err
    )
    assert "manage.py backup_db." in checked.err
    project.manage("migrate", "-v0")
    taken = project.manage("backup_db", "-o", str(tmp_path / "saved.db"))
    assert (taken.out, taken.code) == (f"{tmp_path / 'saved.db'}\n", 0)


def test_project_s_key_commands_are_its_own_too(tmp_path: Path) -> None:
    project = Project(tmp_path, first=True, create_api_key=THEIRS, api_keys=THEIRS)
    assert project.manage("create_api_key").out == "the project's own\n"
    made = project.manage("create_backup_key", "cron", "--scope", "backup")
    assert (made.out.startswith("taskdog_key_"), made.code) == (True, 0)
    assert "may: backup." in made.err
    assert project.manage("api_keys").out == "the project's own\n"
    assert "cron" in project.manage("backup_keys").out
    checked = project.manage("check").err
    assert "manage.py create_backup_key." in checked
    assert "manage.py backup_keys." in checked


@pytest.mark.parametrize("first", [True, False], ids=["in front", "behind"])
@pytest.mark.parametrize("module", ["backup", "backup_db"])
def test_command_of_ours_in_the_project_s_words_is_still_ours(
    module: str, first: bool, tmp_path: Path
) -> None:
    """So it applies nothing: what is live would be gone before it is backed up."""
    words = IN_OUR_WORDS.replace("backup_db", module)
    project = Project(tmp_path, first=first, backup=words)
    assert "in the words of the project" in project.manage("backup", "--help").out
    assert "backups.W011" not in project.manage("check").err
    project.manage("migrate", "-v0")
    assert project.manage("backup", "-o", str(tmp_path / "saved.db")).code == 0
    assert project.manage("restore_db", str(tmp_path / "saved.db"), "--yes").code == 0
    assert project.manage("backup", "-o", str(tmp_path / "again.db")).code == 0
    assert "Pending on" in project.manage("restore_db", "--status").out


def test_command_that_cannot_be_imported_does_not_stop_the_checks(tmp_path: Path) -> None:
    project = Project(tmp_path, backup="import no_such_module")
    checked = project.manage("check")
    assert (checked.code, "backups.W011" in checked.err) == (0, True)
