"""``create_api_key`` as any project has it, which sets nothing."""

import os
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from backups.disk import attributes
from backups.keys.api_keys import create_key, find_key, read_keys
from backups.management.commands.create_api_key import CreateApiKey
from backups.site import local_store
from tests.site import Site


@pytest.fixture(autouse=True)
def _any_project(settings: Settings) -> None:
    del settings.BACKUPS_KEY_FILE
    settings.BACKUPS_EXTRA_SCOPES = []


def make(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Run the command; returns the key, and what was said beside it."""
    call_command(CreateApiKey(), *arguments)
    out, err = capsys.readouterr()
    return out.removesuffix("\n"), err


def test_keys_are_beside_the_database_for_their_owner_alone(
    live: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    key, said = make(capsys, "cron", "--scope", "backup")
    path = live.data / "tasks.db.api-keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    found = find_key(read_keys(path), key)
    assert found is not None
    assert (found.name, found.scopes) == ("cron", ("backup",))
    assert str(path) in said
    assert key not in said


def test_key_may_everything_unless_told(live: Site, capsys: pytest.CaptureFixture[str]) -> None:
    key, said = make(capsys, "ops")
    found = find_key(read_keys(live.data / "tasks.db.api-keys.json"), key)
    assert found is not None
    assert found.scopes == ("backup", "restore")
    assert "may: backup, restore." in said


def test_scope_that_only_the_site_knows_is_refused_elsewhere(live: Site) -> None:
    with pytest.raises(CommandError, match="tasks"):
        call_command(CreateApiKey(), "cron", "--scope", "tasks")
    assert not (live.data / "tasks.db.api-keys.json").exists()


def test_key_made_by_root_can_be_read_by_the_server(
    live: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's owner is the server's user; only that far does this need root."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    monkeypatch.setattr(attributes, "_owner", lambda of: (4711, 42) if of.st_size else (0, 0))
    make(capsys, "first")
    make(capsys, "second")
    assert given == [(4711, 42)] * 2


def test_database_without_a_file_has_no_place_for_keys(settings: Settings) -> None:
    settings.BACKUPS_FOLDER = None
    with (
        mock.patch.object(local_store, "paths", return_value=None),
        pytest.raises(CommandError, match="Set BACKUPS_KEY_FILE, or BACKUPS_FOLDER"),
    ):
        call_command(CreateApiKey(), "cron")


def test_folder_that_cannot_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    settings.BACKUPS_KEY_FILE = tmp_path / "missing" / "keys.json"
    with pytest.raises(CommandError, match="missing"):
        call_command(CreateApiKey(), "cron")
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_not_usable_is_told_with_the_next_step(
    settings: Settings, tmp_path: Path
) -> None:
    settings.BACKUPS_KEY_FILE = tmp_path / "keys.json"
    create_key(settings.BACKUPS_KEY_FILE, name="cron")
    settings.BACKUPS_KEY_FILE.chmod(0o644)
    with pytest.raises(CommandError, match=r"chmod 600 .*manage.py create_api_key NAME"):
        call_command(CreateApiKey(), "ops")
