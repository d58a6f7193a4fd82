"""What the README's lines give a project, and what is said of what they do not install."""

import re
import sqlite3
from contextlib import closing

import pytest

from tests.package.conftest import Plain

pytestmark = pytest.mark.package

NEEDED = {"cronsim", "django-restorable", "djangorestframework", "multipart", "backports.zstd"}
MISSING = (
    "backups.client needs requests, which is not installed."
    ' Install it: python -m pip install "django-restorable[cli]"'
)


def test_plain_installation_brings_what_is_needed_and_no_more(plain: Plain) -> None:
    assert plain.packages - plain.before == NEEDED


def test_what_is_imported_is_what_was_installed(plain: Plain) -> None:
    asked = "import backups; print(backups.__file__, backups.__version__)"
    said = plain.project.environment.run(plain.project.folder, "python", "-c", asked).out
    assert said.startswith(str(plain.project.environment.bin.parent))


def test_readme_s_commands_print_a_key_and_a_snapshot(plain: Plain) -> None:
    key, path = (printed.out.strip() for printed in plain.printed)
    assert re.fullmatch(r"mysite_key_\w+", key)
    assert re.fullmatch(r"mysite-backup-\d{8}-\d{6}\.db", path)
    with closing(sqlite3.connect(plain.project.folder / path)) as snapshot:
        assert snapshot.execute("SELECT count(*) FROM auth_permission").fetchone() > (0,)


def test_checks_find_no_error_in_a_project_that_follows_the_readme(plain: Plain) -> None:
    said = plain.project.manage("check", "--database", "default").err
    assert "ERRORS" not in said
    assert "rest_framework" not in said


def test_without_the_extra_a_command_names_it_in_a_sentence(plain: Plain) -> None:
    for ended in (plain.backup, plain.restore):
        assert (ended.code, ended.err.strip()) == (1, f"CommandError: {MISSING}")


def test_without_the_extra_a_script_is_told_the_same(plain: Plain) -> None:
    assert plain.client.err.splitlines()[-1] == f"ImportError: {MISSING}"
