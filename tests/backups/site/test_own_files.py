"""No command writes a snapshot onto a file of the site, whatever the file is called there."""

from pathlib import Path

import pytest
from pytest_django import Settings

from backups import services
from backups.exceptions import OwnFileError
from backups.site import local_store
from tests.site import Site


@pytest.fixture
def own(live: Site, settings: Settings) -> Path:
    """A site whose keys, secret and sessions are files, each in a folder of its own."""
    folder = live.data.parent
    for name in ("keys", "secrets", "sessions", "elsewhere"):
        (folder / name).mkdir()
    settings.BACKUPS_KEY_FILE = folder / "keys" / "api_keys.json"
    settings.BACKUPS_OWN_FILES = [folder / "secrets", live.data / "secret_key"]
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.file"
    settings.SESSION_FILE_PATH = str(folder / "sessions")
    for name in OWN:
        (folder / name).touch()
    return folder


OWN = [
    "keys/api_keys.json",
    "secrets/token",
    "data/secret_key",
    "data/.backups.lock",
    "keys/.backups.lock",
    "data/tasks.db.lock",
    "data/tasks.db.pending-restore",
    "data/tasks.db.pending-restore.0123456789abcdef.json",
    "data/tasks.db.pre-restore-20261123-024538",
    "data/tasks.db.refused-restore-20261123-024538",
    "data/tasks.db.restore-receipts.jsonl",
    "data/tasks.db.sent-snapshots.jsonl",
    "data/tasks.db-wal",
    "data/tasks.db-shm",
    "data/tasks.db-journal",
    "sessions/sessionid0123456789abcdef",
]


@pytest.mark.parametrize("name", OWN)
def test_file_of_the_site_is_known_by_its_name_and_by_any_other(own: Path, name: str) -> None:
    file, elsewhere = own / name, own / "elsewhere"
    (elsewhere / "soft.db").symlink_to(file)
    (elsewhere / "hard.db").hardlink_to(file)
    (elsewhere / "folder").symlink_to(file.parent)
    for path in (
        file,
        elsewhere / "soft.db",
        elsewhere / "hard.db",
        elsewhere / "folder" / file.name,
        elsewhere / ".." / name,
    ):
        with pytest.raises(OwnFileError, match="is reserved for") as refused:
            services.check_not_own(path)
        assert str(path) in str(refused.value)
        assert "Choose another name" in refused.value.hint


@pytest.mark.parametrize("name", OWN)
def test_name_of_a_file_that_is_not_there_yet_is_reserved_too(own: Path, name: str) -> None:
    (own / name).unlink()
    with pytest.raises(OwnFileError):
        services.check_not_own(own / name)


def test_relative_path_is_known_too(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "secrets" / "below").mkdir()
    for folder, name in (("keys", "api_keys.json"), ("secrets", "x"), ("secrets/below", "x")):
        monkeypatch.chdir(own / folder)
        with pytest.raises(OwnFileError):
            services.check_not_own(Path(name))


def test_link_into_a_folder_of_the_site_is_known(own: Path) -> None:
    (own / "secrets" / "below").mkdir()
    (own / "elsewhere" / "link").symlink_to(own / "secrets" / "below")
    with pytest.raises(OwnFileError):
        services.check_not_own(own / "elsewhere" / "link" / "new.db")


def test_live_database_is_known_by_a_hard_link(own: Path, live: Site) -> None:
    (own / "elsewhere" / "hard.db").hardlink_to(live.database)
    with pytest.raises(OwnFileError, match="is the same file as"):
        services.check_not_own(own / "elsewhere" / "hard.db")


@pytest.mark.parametrize(
    "name",
    [
        "data/taskdog-backup-20261123-024538.db",
        "keys/mine.db",
        "sessions/mine.db",
        "elsewhere/api_keys.json",
        "elsewhere/secret_key",
        "elsewhere/tasks.db",
        "nowhere/tasks.db",
    ],
)
def test_any_other_name_may_be_written(own: Path, name: str) -> None:
    services.check_not_own(own / name)


def test_sessions_that_are_no_files_reserve_nothing(own: Path, settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    services.check_not_own(own / "sessions" / "sessionid0123456789abcdef")


def test_folder_that_cannot_be_looked_into_is_no_error(own: Path, settings: Settings) -> None:
    settings.BACKUPS_OWN_FILES = ["/nowhere/at/all", "/proc/1/fd"]
    services.check_not_own(own / "elsewhere" / "mine.db")
    assert local_store.own_names()
