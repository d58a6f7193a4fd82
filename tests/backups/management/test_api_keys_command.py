"""``api_keys`` as any project has it, which sets nothing."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from backups.keys.api_keys import create_key, find_key, read_keys
from backups.keys.entries import end_of_day
from backups.keys.key_usage import KeyUsage, last_used
from backups.management.commands.api_keys import ApiKeys
from backups.management.commands.create_api_key import CreateApiKey

TODAY = datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def _any_project(settings: Settings, keys_file: Path) -> None:
    settings.BACKUPS_EXTRA_SCOPES = []


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Run the command; returns both streams."""
    call_command(ApiKeys(), *arguments)
    return capsys.readouterr()


def test_list_tells_everything_but_the_key(
    keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = create_key(keys_file, name="laptop")
    other = create_key(keys_file, name="cron", scopes=["backup"])
    KeyUsage().note(keys_file, read_keys(keys_file)[0].sha256)
    out, err = run(capsys)
    assert out.splitlines()[0].split("  ")[0] == "NAME"
    laptop, cron = out.splitlines()[1:]
    assert laptop.split()[:3] == ["laptop", "backup,", "restore"]
    assert f"{datetime.now(UTC):%Y-%m-%d}" in laptop
    assert cron.split() == ["cron", "backup", f"{TODAY}", "never", "never"]
    assert err == ""
    assert all(secret not in out for key in (used, other) for secret in (key, key[-20:]))
    assert run(capsys, "list") == (out, "")


def test_list_for_programs(keys_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_key(keys_file, name="laptop", expires_at=datetime(2026, 2, 1, tzinfo=UTC))
    (key,) = read_keys(keys_file)
    for words in (["--json"], ["list", "--json"], ["--json", "list"]):
        assert json.loads(run(capsys, *words)[0]) == [
            {
                "name": "laptop",
                "scopes": ["backup", "restore"],
                "created_at": key.created_at,
                "last_used_at": None,
                "expires_at": "2026-02-01T00:00:00+00:00",
                "is_expired": True,
            }
        ]


def test_list_of_no_keys_says_so_and_is_empty_for_programs(
    keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run(capsys)
    assert (out, str(keys_file) in err) == ("", True)
    assert "manage.py create_api_key NAME" in err
    assert json.loads(run(capsys, "--json")[0]) == []


def test_list_shows_what_has_ended_and_what_soon_will(
    keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, days in (("ended", -1), ("soon", 5), ("later", 90)):
        end = end_of_day(TODAY + timedelta(days=days))
        create_key(keys_file, name=name, expires_at=end)
    ended, soon, later = run(capsys)[0].splitlines()[1:]
    assert ended.endswith(f"EXPIRED {TODAY - timedelta(days=1)}")
    assert soon.endswith(f"{TODAY + timedelta(days=5)} (in 5 days)")
    assert later.endswith(f"  {TODAY + timedelta(days=90)}")


def test_name_that_was_written_by_hand_sends_nothing_to_the_terminal(
    keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_key(keys_file, name="laptop")
    content = keys_file.read_text().replace('"laptop"', '"\\u001b[31mred"')
    keys_file.write_text(content)
    assert "\x1b" not in run(capsys)[0]


def test_revoked_key_opens_nothing_and_the_others_go_on(
    keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, kept = (create_key(keys_file, name=name) for name in ("laptop", "cron"))
    sha256 = read_keys(keys_file)[0].sha256
    KeyUsage().note(keys_file, sha256)
    out, _ = run(capsys, "revoke", "laptop")
    assert "'laptop' is revoked" in out
    keys = read_keys(keys_file)
    assert (find_key(keys, gone), find_key(keys, kept)) == (None, keys[0])
    assert last_used(keys_file, sha256) is None
    assert keys_file.stat().st_mode & 0o777 == 0o600
    create_key(keys_file, name="laptop")  # the name is free again


def test_last_key_can_be_revoked(keys_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_key(keys_file, name="laptop")
    run(capsys, "revoke", "laptop")
    assert read_keys(keys_file) == ()


@pytest.mark.parametrize("action", ["revoke", "rotate"])
def test_name_that_is_not_there_is_an_error_that_lists_those_that_are(
    action: str, keys_file: Path
) -> None:
    with pytest.raises(CommandError, match=r"no API key named 'x'.*There are no keys"):
        call_command(ApiKeys(), action, "x")
    assert not keys_file.exists()
    create_key(keys_file, name="laptop")
    create_key(keys_file, name="night job")
    before = keys_file.read_bytes()
    with pytest.raises(CommandError, match=r"no API key named 'x'.*: 'laptop', 'night job'\."):
        call_command(ApiKeys(), action, "x")
    assert keys_file.read_bytes() == before


def test_rotated_key_has_the_scopes_and_the_old_one_ends(
    keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_key(keys_file, name="first")
    old = create_key(keys_file, name="cron", scopes=["backup"])
    create_key(keys_file, name="last")
    out, err = run(capsys, "rotate", "cron")
    new = out.removesuffix("\n")
    keys = read_keys(keys_file)
    assert [key.name for key in keys] == ["first", "cron", "last"]
    assert (find_key(keys, new), find_key(keys, old)) == (keys[1], None)
    assert (keys[1].scopes, keys[1].expires_at) == (("backup",), None)
    assert "The old one no longer works." in err
    assert new not in err


def test_rotated_key_lasts_as_long_as_the_old_one_did_or_as_is_said(
    keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command(CreateApiKey(), "cron", "--days", "90")
    end = f"{end_of_day(TODAY + timedelta(days=90)):%Y-%m-%dT%H:%M:%S}+00:00"
    assert read_keys(keys_file)[0].expires_at == end
    for _ in range(2):
        call_command(ApiKeys(), "rotate", "cron")
        assert read_keys(keys_file)[0].expires_at == end
    err = run(capsys, "rotate", "cron", "--days", "7")[1]
    assert f"works until {TODAY + timedelta(days=7)}" in err


@pytest.mark.parametrize(
    "options",
    [
        ["--expires", "2020-01-31"],
        ["--expires", "tomorrow"],
        ["--expires", "9999-12-31"],
        ["--days", "0"],
        ["--days", "-1"],
        ["--days", "1.5"],
        ["--days", "9" * 5000],
        ["--days", "3", "--expires", f"{TODAY}"],
    ],
)
def test_end_that_cannot_be_is_refused_and_makes_no_key(
    options: list[str], keys_file: Path
) -> None:
    with pytest.raises(CommandError):
        call_command(CreateApiKey(), "cron", *options)
    assert not keys_file.exists()


def test_failed_write_leaves_the_key_as_it_was(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    key = create_key(keys_file, name="laptop")
    monkeypatch.setattr(os, "replace", refuse)
    for action in ("revoke", "rotate"):
        with pytest.raises(CommandError, match="no space left"):
            call_command(ApiKeys(), action, "laptop")
    assert find_key(read_keys(keys_file), key)
    assert [path.name for path in keys_file.parent.iterdir()] == [keys_file.name]


def test_file_that_is_not_usable_is_told_with_the_next_step(keys_file: Path) -> None:
    create_key(keys_file, name="laptop")
    keys_file.chmod(0o644)
    for words in ([], ["revoke", "laptop"], ["rotate", "laptop"]):
        with pytest.raises(CommandError, match="chmod 600"):
            call_command(ApiKeys(), *words)
