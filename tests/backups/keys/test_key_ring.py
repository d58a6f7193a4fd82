from pathlib import Path

import pytest

from backups.disk import private_files
from backups.keys import api_keys
from backups.keys.api_keys import create_key
from backups.keys.key_ring import KeyRing


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing()


def names(ring: KeyRing, path: Path) -> list[str] | None:
    keys = ring.keys(path)
    return None if keys is None else [key.name for key in keys]


def test_a_key_made_while_running_is_noticed(ring: KeyRing, keys_file: Path) -> None:
    assert names(ring, keys_file) == []
    create_key(keys_file, name="a")
    assert names(ring, keys_file) == ["a"]
    create_key(keys_file, name="b")
    assert names(ring, keys_file) == ["a", "b"]


def test_a_removed_file_takes_its_keys_away(ring: KeyRing, keys_file: Path) -> None:
    create_key(keys_file, name="a")
    assert names(ring, keys_file) == ["a"]
    keys_file.unlink()
    assert names(ring, keys_file) == []


def test_an_unchanged_file_is_read_once(
    ring: KeyRing, keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_key(keys_file, name="a")
    assert names(ring, keys_file) == ["a"]
    monkeypatch.setattr(api_keys, "read_keys", lambda path: pytest.fail("read again"))
    assert names(ring, keys_file) == ["a"]


def test_a_file_that_breaks_refuses_every_key_and_is_logged_once_per_change(
    ring: KeyRing, keys_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    create_key(keys_file, name="a")
    good = keys_file.read_bytes()
    for broken in (b"{", b"{]"):
        private_files.replace(keys_file, broken)
        assert [names(ring, keys_file) for _ in range(3)] == [None] * 3
    assert len(caplog.records) == 2
    assert all(str(keys_file) in record.getMessage() for record in caplog.records)
    private_files.replace(keys_file, good)
    assert names(ring, keys_file) == ["a"]


def test_a_file_that_is_opened_to_others_refuses_every_key(ring: KeyRing, keys_file: Path) -> None:
    create_key(keys_file, name="a")
    assert names(ring, keys_file) == ["a"]
    keys_file.chmod(0o666)
    assert names(ring, keys_file) is None


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_folder_that_is_opened_to_everybody_refuses_every_key_until_it_is_closed(
    mode: int, ring: KeyRing, keys_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    create_key(keys_file, name="a")
    assert names(ring, keys_file) == ["a"]
    keys_file.parent.chmod(mode)
    assert [names(ring, keys_file) for _ in range(3)] == [None] * 3
    (record,) = caplog.records
    assert f"chmod o-w '{keys_file.parent}'" in record.getMessage()
    keys_file.parent.chmod(0o755)
    assert names(ring, keys_file) == ["a"]
