import grp
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from pytest_django import Settings

from backups.checks.keys import check_keys
from backups.disk import private_files
from backups.keys.api_keys import create_key

WRONG: list[tuple[str, Any, str]] = [
    *(
        ("BACKUPS_EXTRA_SCOPES", value, "E020")
        for value in (
            "tasks",
            5,
            [""],
            ["two words"],
            [" a"],
            ["a\n"],
            [5],
            ["backup"],
            ["restore"],
        )
    ),
    *(
        ("BACKUPS_REMOTE_HEADER", value, "E021")
        for value in ("", ":", "X Key", "X-Key: a b", "Clé", "Authorization: Token secret")
    ),
    *(("BACKUPS_KEY_FILE", value, "E022") for value in ("keys.json", Path("a/keys.json"), 5)),
]
RIGHT: list[tuple[str, Any]] = [
    ("BACKUPS_EXTRA_SCOPES", []),
    ("BACKUPS_EXTRA_SCOPES", ("reports", "shop:read")),
    ("BACKUPS_REMOTE_HEADER", "X-Api-Key"),
    ("BACKUPS_REMOTE_HEADER", "Authorization: Token"),
    ("BACKUPS_KEY_FILE", None),
    ("BACKUPS_KEY_FILE", "/no/such/folder/keys.json"),
]


@pytest.mark.parametrize(("setting", "value", "number"), WRONG)
def test_each_wrong_setting_is_named_with_a_hint(
    setting: str, value: Any, number: str, settings: Settings
) -> None:
    setattr(settings, setting, value)
    (message,) = check_keys()
    assert (message.id, message.is_serious()) == (f"backups.{number}", True)
    assert setting in message.msg
    assert repr(value)[:20] in message.msg or setting == "BACKUPS_REMOTE_HEADER"
    assert "secret" not in message.msg
    assert message.hint


@pytest.mark.parametrize(("setting", "value"), RIGHT)
def test_right_settings_pass(setting: str, value: Any, settings: Settings) -> None:
    setattr(settings, setting, value)
    assert check_keys() == []


@pytest.mark.parametrize("content", [b"{", b'{"keys": [5]}'])
def test_file_that_refuses_every_key_is_a_warning_that_names_it(
    content: bytes, keys_file: Path
) -> None:
    private_files.replace(keys_file, content)
    (message,) = check_keys()
    assert (message.id, message.is_serious()) == ("backups.W013", False)
    assert f"The API key file {keys_file} is not usable" in message.msg
    assert "manage.py create_api_key" in str(message.hint)
    assert keys_file.read_bytes() == content


def test_folder_that_everybody_may_write_is_a_warning_if_there_are_keys(keys_file: Path) -> None:
    keys_file.parent.chmod(0o777)
    assert check_keys() == []
    keys_file.parent.chmod(0o755)
    create_key(keys_file, name="a")
    keys_file.parent.chmod(0o777)
    (message,) = check_keys()
    assert (message.id, message.is_serious()) == ("backups.W013", False)
    assert f"chmod o-w '{keys_file.parent}'" in message.msg


def test_folder_that_a_group_may_write_is_a_warning_of_its_own(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grp, "getgrgid", lambda _: mock.Mock(gr_name="staff"))
    create_key(keys_file, name="a")
    keys_file.parent.chmod(0o770)
    (message,) = check_keys()
    assert (message.id, message.is_serious()) == ("backups.W050", False)
    assert str(keys_file.parent) in message.msg
    assert f"chmod g-w '{keys_file.parent}'" in str(message.hint)
