import errno
import os
from pathlib import Path

import pytest

from backups import private_files


def test_a_created_file_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    private_files.create_once(path, b"mine")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"mine", 0o600)
    assert os.listdir(tmp_path) == ["secret"]


def test_the_first_to_create_a_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    private_files.create_once(path, b"first")
    private_files.create_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["secret"]


def test_replacing_leaves_one_file_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"before")
    private_files.replace(path, b"after")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"after", 0o600)
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    path = tmp_path / "secret"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(OSError, match="no space left"):
        private_files.replace(path, b"after")
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_file_open_to_others_is_refused_with_the_remedy(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"seen")
    path.chmod(mode)
    with pytest.raises(private_files.FileTooOpenError, match=f"chmod 600 '{path}'"):
        private_files.read(path)


def test_file_system_without_links_still_creates_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    private_files.create_once(tmp_path / "secret", b"first")
    private_files.create_once(tmp_path / "secret", b"second")
    assert (tmp_path / "secret").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["secret"]


def test_folder_that_keeps_no_secret_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount with one mode for every file: what is written there could not be read again."""
    monkeypatch.setattr(private_files, "_mode", lambda _: 0o777)
    with pytest.raises(OSError, match="open to other users"):
        private_files.replace(tmp_path / "secret", b"x")
    assert os.listdir(tmp_path) == []
