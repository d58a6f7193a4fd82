import hashlib
import hmac
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backups.disk import private_files
from backups.exceptions import KeyFileError, KeyNameError
from backups.keys.api_keys import create_key, find_key, read_keys


def valid_entry(**changes: Any) -> dict[str, Any]:
    return {
        "name": "a",
        "sha256": "0" * 64,
        "scopes": ["tasks"],
        "created_at": "2026-01-01T00:00:00+00:00",
    } | changes


def write_private(path: Path, content: str) -> None:
    private_files.replace(path, content.encode())


def test_no_file_is_no_keys(keys_file: Path) -> None:
    assert read_keys(keys_file) == ()


def test_a_made_key_is_found_with_its_scopes(keys_file: Path) -> None:
    key = create_key(keys_file, name="laptop", scopes=["restore", "tasks"])
    found = find_key(read_keys(keys_file), key)
    assert found is not None
    assert (found.name, found.scopes) == ("laptop", ("tasks", "restore"))


def test_the_file_holds_the_hash_and_never_the_key(keys_file: Path) -> None:
    key = create_key(keys_file, name="laptop")
    content = keys_file.read_text()
    assert key not in content
    assert hashlib.sha256(key.encode()).hexdigest() in content
    assert keys_file.stat().st_mode & 0o777 == 0o600


def test_a_key_is_long_and_new_every_time(keys_file: Path) -> None:
    keys = {create_key(keys_file, name=f"key {number}") for number in range(5)}
    assert len(keys) == 5
    assert {len(key) for key in keys} == {len("taskdog_key_") + 49}


@pytest.mark.parametrize("presented", ["", "wrong", "clé", "\ud800", "x" * 100_000])
def test_what_is_no_key_finds_nothing(presented: str, keys_file: Path) -> None:
    create_key(keys_file, name="laptop")
    assert find_key(read_keys(keys_file), presented) is None


def test_the_stored_hash_does_not_serve_as_a_key(keys_file: Path) -> None:
    create_key(keys_file, name="laptop")
    keys = read_keys(keys_file)
    assert find_key(keys, keys[0].sha256) is None


def test_every_entry_is_compared_whichever_matches(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = [create_key(keys_file, name=name) for name in "abc"]
    compared: list[str] = []
    compare: Callable[[str, str], bool] = hmac.compare_digest

    def spy(known: str, presented: str) -> bool:
        compared.append(known)
        return compare(known, presented)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    keys = read_keys(keys_file)
    found = find_key(keys, first)
    assert (found, compared) == (keys[0], [key.sha256 for key in keys])


def test_a_name_is_given_once(keys_file: Path) -> None:
    create_key(keys_file, name="laptop")
    before = keys_file.read_bytes()
    with pytest.raises(KeyNameError, match="already an API key named 'laptop'"):
        create_key(keys_file, name="laptop")
    assert keys_file.read_bytes() == before


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\nb", "a\0", "x" * 101])
def test_an_unclear_name_is_refused_and_makes_no_file(name: str, keys_file: Path) -> None:
    with pytest.raises(KeyNameError, match="can't be the name of an API key"):
        create_key(keys_file, name=name)
    assert os.listdir(keys_file.parent) == []


def test_keys_made_at_once_are_all_kept(keys_file: Path) -> None:
    names = [f"key {number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda name: create_key(keys_file, name=name), names))
    keys = read_keys(keys_file)
    assert sorted(key.name for key in keys) == sorted(names)
    assert all(find_key(keys, key) for key in made)


def test_a_failed_write_leaves_the_old_keys(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise OSError("no rename today")

    key = create_key(keys_file, name="laptop")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no rename today"):
        create_key(keys_file, name="phone")
    assert [known.name for known in read_keys(keys_file)] == ["laptop"]
    assert find_key(read_keys(keys_file), key)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must hold"),
        ("{}", "must hold"),
        ('{"keys": {}}', "must hold"),
        ({"keys": ["a"]}, "entry 1 is not an object"),
        ({"keys": [{"name": "a"}]}, "entry 1 lacks created_at, scopes, sha256"),
        ({"keys": [valid_entry(name=5)]}, "name that is not text"),
        ({"keys": [valid_entry(name="")]}, "name that is not text"),
        ({"keys": [valid_entry(), valid_entry()]}, "entry 2 repeats the name 'a'"),
        ({"keys": [valid_entry(sha256="secret")]}, "not 64 hex digits"),
        ({"keys": [valid_entry(sha256=None)]}, "not 64 hex digits"),
        ({"keys": [valid_entry(scopes="tasks")]}, "not a list"),
        ({"keys": [valid_entry(scopes=["admin"])]}, "unknown scope 'admin'"),
        ({"keys": [valid_entry(scopes=[[]])]}, "unknown scope"),
        ({"keys": [valid_entry(created_at=0)]}, "created_at"),
        ({"keys": [valid_entry(created_at="today")]}, "created_at"),
        ({"keys": [valid_entry(expires_at="never")]}, "expires_at"),
        ({"keys": [valid_entry(expires_at=0)]}, "expires_at"),
    ],
)
def test_a_malformed_file_is_refused_with_path_reason_and_remedy(
    content: Any, reason: str, keys_file: Path
) -> None:
    write_private(keys_file, content if isinstance(content, str) else json.dumps(content))
    before = keys_file.read_bytes()
    with pytest.raises(KeyFileError) as refused:
        read_keys(keys_file)
    assert str(keys_file) in str(refused.value)
    assert reason in str(refused.value)
    assert "create_api_key" in refused.value.hint
    with pytest.raises(KeyFileError):
        create_key(keys_file, name="new")
    assert keys_file.read_bytes() == before


def test_bytes_that_are_not_text_are_refused(keys_file: Path) -> None:
    private_files.replace(keys_file, b"\xff\xfe\xfa")
    with pytest.raises(KeyFileError, match="not JSON"):
        read_keys(keys_file)


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o606])
def test_a_file_open_to_others_is_refused_with_the_remedy(mode: int, keys_file: Path) -> None:
    create_key(keys_file, name="laptop")
    keys_file.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_keys(keys_file)


def test_a_folder_in_place_of_the_file_is_refused(keys_file: Path) -> None:
    keys_file.mkdir()
    with pytest.raises(KeyFileError, match="not usable"):
        read_keys(keys_file)


def test_the_hash_does_not_show_in_a_key_that_is_printed(keys_file: Path) -> None:
    create_key(keys_file, name="laptop")
    (key,) = read_keys(keys_file)
    assert key.sha256 not in repr(key)


def test_key_without_an_end_is_written_as_before(keys_file: Path) -> None:
    """A release that knows of no end reads such a file, and this one reads that release's."""
    create_key(keys_file, name="laptop")
    (entry,) = json.loads(keys_file.read_text())["keys"]
    assert sorted(entry) == ["created_at", "name", "scopes", "sha256"]


@pytest.mark.parametrize(
    ("expires_at", "is_expired"),
    [
        (None, False),
        ("2020-01-01T00:00:00+00:00", True),
        ("2020-01-01T00:00:00", True),  # by hand, without an offset
        ("2020-01-01", True),
        ("2999-01-01T00:00:00+02:00", False),
    ],
)
def test_key_ends_when_the_file_says(
    expires_at: str | None, is_expired: bool, keys_file: Path
) -> None:
    write_private(keys_file, json.dumps({"keys": [valid_entry(expires_at=expires_at)]}))
    (key,) = read_keys(keys_file)
    assert key.is_expired() is is_expired


def test_folder_where_everybody_may_write_gets_no_keys(keys_file: Path) -> None:
    keys_file.parent.chmod(0o777)
    with pytest.raises(KeyFileError, match=f"chmod o-w '{keys_file.parent}'"):
        create_key(keys_file, name="laptop")
    assert os.listdir(keys_file.parent) == []
