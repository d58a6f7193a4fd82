"""Who else can open a database is said by its check, with the line that mends it."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from django.core import checks
from django.core.checks import CheckMessage

from backups.checks.modes import check_readers, check_writers
from backups.site import local_store
from backups.sqlite.folder.paths import StorePaths
from tests.backups.strangers import open_folder


@pytest.fixture
def database() -> Iterator[Path]:
    """Closed, in a folder of its own that others can reach."""
    with open_folder() as above:
        folder = above / "it's data"
        folder.mkdir()
        folder.chmod(0o700)
        database = folder / "tasks.db"
        database.touch()
        database.chmod(0o600)
        with mock.patch.object(local_store, "all_paths", return_value=[StorePaths.of(database)]):
            yield database


def found() -> list[CheckMessage]:
    messages = [*check_writers(), *check_readers()]
    assert all(message.hint for message in messages)
    return messages


def ids() -> list[str | None]:
    return [message.id for message in found()]


def mend() -> None:
    """Do what the hints say, in a shell."""
    for message in found():
        assert message.hint is not None
        command = message.hint.partition("with: ")[2].partition(". ")[0]
        subprocess.run(command, shell=True, check=True)


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        (0o600, []),
        (0o640, []),
        (0o660, []),
        (0o644, ["backups.W062"]),
        (0o602, ["backups.W060"]),
        (0o666, ["backups.W060", "backups.W062"]),
    ],
)
@pytest.mark.parametrize(
    "name", ["tasks.db", "tasks.db-wal", "tasks.db.pre-restore-20260101-000000"]
)
def test_file_that_others_can_open_is_named_and_mended(
    name: str, mode: int, wanted: list[str], database: Path
) -> None:
    database.parent.chmod(0o711)  # nobody can list it, and the names are known
    path = database.with_name(name)
    path.touch()
    path.chmod(mode)
    assert ids() == wanted
    assert all(str(path) in message.msg and f"{mode:04o}" in message.msg for message in found())
    mend()
    assert ids() == []
    assert path.stat().st_mode & 0o770 == mode & 0o770, "what the group may do is not our matter"


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        (0o700, []),
        (0o711, []),
        (0o770, []),
        (0o755, ["backups.W063"]),
        (0o733, ["backups.W061"]),
        (0o777, ["backups.W061", "backups.W063"]),
    ],
)
def test_folder_that_others_can_use_is_named_and_mended(
    mode: int, wanted: list[str], database: Path
) -> None:
    database.parent.chmod(mode)
    assert ids() == wanted
    mend()
    assert ids() == []


def test_folder_for_everybody_is_not_to_be_closed(database: Path) -> None:
    database.parent.chmod(0o1777)
    messages = found()
    assert [message.id for message in messages] == ["backups.W061", "backups.W063"]
    for message in messages:
        assert message.hint is not None
        assert "chmod" not in message.hint
        assert "move the database" in message.hint


def test_folder_above_that_others_can_write_is_named_and_mended(database: Path) -> None:
    above = database.parent.parent
    above.chmod(0o777)
    assert ids() == ["backups.W064"]
    mend()
    assert (ids(), above.stat().st_mode & 0o777) == ([], 0o775)
    above.chmod(0o1777)
    assert ids() == []


def test_nothing_is_said_where_others_cannot_come(database: Path) -> None:
    database.chmod(0o666)
    assert ids() == []
    database.parent.chmod(0o777)
    database.parent.parent.chmod(0o750)
    assert ids() == []


def test_missing_database_and_symbolic_link_are_no_matter(database: Path) -> None:
    database.parent.chmod(0o711)
    database.unlink()
    assert ids() == []
    database.symlink_to("/etc/passwd")
    assert ids() == []


def test_readers_are_told_of_before_a_deployment_only() -> None:
    always: set[object] = set(checks.registry.registry.get_checks())
    deploying: set[object] = set(
        checks.registry.registry.get_checks(include_deployment_checks=True)
    )
    assert check_writers in always
    assert check_readers not in always
    assert check_readers in deploying


def test_checks_write_nothing(database: Path) -> None:
    database.parent.chmod(0o755)
    before = [(path.name, path.stat().st_mtime_ns) for path in database.parent.iterdir()]
    assert ids() == ["backups.W063"]
    assert [(path.name, path.stat().st_mtime_ns) for path in database.parent.iterdir()] == before
    assert stat.S_IMODE(os.stat(database).st_mode) == 0o600
