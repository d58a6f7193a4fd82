import errno
import grp
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import private_files


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose mode a test may change."""
    folder = tmp_path / "folder"
    folder.mkdir()
    yield folder
    folder.chmod(0o700)


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


@pytest.mark.parametrize("mode", [0o702, 0o777, 0o757, 0o773])
def test_folder_where_everybody_may_write_is_refused_with_the_remedy(
    mode: int, folder: Path
) -> None:
    path = folder / "secret"
    private_files.create_once(path, b"mine")
    folder.chmod(mode)
    for use in (
        lambda: private_files.read(path),
        lambda: private_files.replace(path, b"new"),
        lambda: private_files.create_once(folder / "other", b"new"),
    ):
        with pytest.raises(private_files.FolderTooOpenError, match=f"chmod o-w '{folder}'"):
            use()
    assert (path.read_bytes(), os.listdir(folder)) == (b"mine", ["secret"])


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o770, 0o2775, 0o1777, 0o711])
def test_folder_of_a_service_of_a_group_or_with_the_sticky_bit_is_good(
    mode: int, folder: Path
) -> None:
    folder.chmod(mode)
    private_files.create_once(folder / "secret", b"mine")
    private_files.replace(folder / "secret", b"new")
    assert private_files.read(folder / "secret") == b"new"


def test_link_leads_into_no_folder_where_everybody_may_write(folder: Path, tmp_path: Path) -> None:
    private_files.create_once(folder / "secret", b"mine")
    folder.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(folder / "secret")
    with pytest.raises(private_files.FolderTooOpenError, match=f"chmod o-w '{folder}'"):
        private_files.read(link)


def test_missing_file_is_missing_whatever_its_folder(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(FileNotFoundError):
        private_files.read(folder / "secret")


def owned_by(user: int) -> Callable[[int], os.stat_result]:
    """As ``os.fstat``, of a file that another user has."""
    fstat = os.fstat

    def answer(descriptor: int) -> os.stat_result:
        fields = list(fstat(descriptor))
        fields[4] = user
        return os.stat_result(fields)

    return answer


def test_file_of_a_stranger_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    private_files.create_once(path, b"planted")
    monkeypatch.setattr(os, "fstat", owned_by(4711))
    with pytest.raises(
        private_files.NotOursError, match=f"chown {tmp_path.stat().st_uid} '{path}'"
    ) as no:
        private_files.read(path)
    assert "uid 4711" in str(no.value)


@pytest.mark.parametrize("us", [0, 4711])
def test_file_of_root_or_of_us_or_of_the_folder_s_owner_is_good(
    us: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root runs commands for the site's user, whose the folder is, or the other way round."""
    path = tmp_path / "secret"
    private_files.create_once(path, b"mine")
    monkeypatch.setattr(os, "geteuid", lambda: us)
    for owner in (0, us, tmp_path.stat().st_uid):
        with monkeypatch.context() as patched:
            patched.setattr(os, "fstat", owned_by(owner))
            assert private_files.read(path) == b"mine"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    """To open a FIFO waits for who writes to it, and every request would wait too."""
    make(tmp_path / "secret")
    with pytest.raises(private_files.NotPrivateError, match="is not a file"):
        private_files.read(tmp_path / "secret")


def test_link_of_a_stranger_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may lead to an older file of ours, with keys that were revoked since."""
    link = tmp_path / "secret"
    private_files.create_once(tmp_path / "old", b"mine")
    link.symlink_to(tmp_path / "old")
    assert private_files.read(link) == b"mine"
    lstat = os.lstat

    def of_a_stranger(path: Path) -> os.stat_result:
        fields = list(lstat(path))
        fields[4] = 4711 if path == link else fields[4]
        return os.stat_result(fields)

    monkeypatch.setattr(os, "lstat", of_a_stranger)
    with pytest.raises(private_files.NotOursError, match="uid 4711"):
        private_files.read(link)


def test_file_that_root_left_and_we_cannot_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "secret"
    private_files.create_once(path, b"mine")
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(private_files.NotOursError, match=f"chown 4711 '{path}'"):
        private_files.read(path)


@pytest.mark.parametrize(
    ("mode", "is_open"), [(0o755, False), (0o770, True), (0o2775, True), (0o1770, False)]
)
def test_folder_that_its_group_may_write_is_told(
    mode: int, is_open: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.chmod(mode)
    monkeypatch.setattr(grp, "getgrgid", lambda _: mock.Mock(gr_name="staff"))
    assert private_files.group_may_replace(folder / "secret") == (folder if is_open else None)


def test_group_of_one_user_is_no_group(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Debian gives everybody one, with a umask that opens folders to it."""
    folder.chmod(0o775)
    monkeypatch.setattr(grp, "getgrgid", lambda _: mock.Mock(gr_name="ann"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: mock.Mock(pw_name="ann"))
    assert private_files.group_may_replace(folder / "secret") is None


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
