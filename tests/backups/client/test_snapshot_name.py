"""What a downloaded snapshot is called: a server's choice only if it has the form of ours."""

import re

import pytest

from backups.client.snapshot_name import MOST_CHARACTERS, offered_name, own_name

OURS = "taskdog-backup-20261123-024538.db"
LONG = "a" * (MOST_CHARACTERS - len("-backup-20261123-024538.db"))


@pytest.mark.parametrize(
    "name",
    [
        OURS,
        "taskdog-other-backup-20261123-024538.db",
        "taskdog-backup-20261123-024538.dump",
        "my_project-backup-20240229-235959.db",
        "7-backup-backup-20261123-024538.db",
        f"{LONG}-backup-20261123-024538.db",
    ],
)
@pytest.mark.parametrize(
    "header",
    [
        'attachment; filename="{}"',
        "attachment; filename={}",
        'ATTACHMENT;FileName="{}"; size=3',
        "attachment; filename=\"{}\"; filename*=UTF-8''.bash_profile",
    ],
)
def test_name_of_our_form_is_taken(header: str, name: str) -> None:
    assert offered_name(header.format(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".bash_profile",
        ".bashrc",
        "Makefile",
        "authorized_keys",
        "manage.py",
        "tasks.db",
        "backup.db",
        "CON",
        "nul.db",
        "-backup-20261123-024538.db",
        "-rf-backup-20261123-024538.db",
        "_-backup-20261123-024538.db",
        ".ssh-backup-20261123-024538.db",
        f"../{OURS}",
        f"/etc/{OURS}",
        f"C:\\{OURS}",
        f"folder/{OURS}",
        f"{OURS}\n",
        f"{OURS}\0",
        f"\r{OURS}",
        f" {OURS}",
        f"{OURS}.sh",
        "a b-backup-20261123-024538.db",
        "a.b-backup-20261123-024538.db",
        "täsk-backup-20261123-024538.db",
        "task-backup-٢٠٢٦١١٢٣-٠٢٤٥٣٨.db",
        "taskdog-backup-20261123-024538.DB",
        "taskdog-backup-20261123-024538-2.db",
        "taskdog-backup-20261123.db",
        "taskdog-backup-20261323-024538.db",
        "taskdog-backup-20250229-024538.db",
        "taskdog-backup-00000101-024538.db",
        "taskdog-backup-20261123-246060.db",
        f"a{LONG}-backup-20261123-024538.db",
        "x" * 60_000,
    ],
)
def test_name_of_any_other_form_is_not(name: str) -> None:
    assert offered_name(f'attachment; filename="{name}"') is None
    if name == name.strip():  # without quotes, space around it is not of the name
        assert offered_name(f"attachment; filename={name}") is None


@pytest.mark.parametrize("header", ["", "attachment", "inline", f"filename={OURS}", f"x={OURS}"])
def test_header_without_a_name_offers_none(header: str) -> None:
    assert offered_name(header) is None


@pytest.mark.parametrize(
    ("url", "beginning"),
    [
        ("https://tasks.example.org/api/v1/backup", "tasks-example-org"),
        ("http://127.0.0.1:8000/backup", "127-0-0-1"),
        ("http://[::1]/backup", "1"),
        (f"https://{'a.' * 100}org/backup", "a-" * 31 + "a"),
        ("https://ä/backup", "server"),
    ],
)
def test_own_name_is_of_that_form_too_and_says_which_server(url: str, beginning: str) -> None:
    name = own_name(url)
    assert re.fullmatch(rf"{beginning}-backup-\d{{8}}-\d{{6}}\.db", name)
    assert offered_name(f'attachment; filename="{name}"') == name


def test_own_name_says_which_kind_it_is() -> None:
    assert re.fullmatch(r"a-backup-\d{8}-\d{6}\.dump", own_name("https://a/", ".dump"))
