"""The durable steps, on real files."""

import errno
import os
import stat
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files


def test_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    os.close(files.create_private(tmp_path / "secret"))
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_private_file_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        files.create_private(taken)
    assert taken.read_bytes() == b"mine"


def test_private_file_is_not_written_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        files.create_private(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_what_root_creates_belongs_to_the_owner_of_the_database(tmp_path: Path) -> None:
    given: list[tuple[int, int]] = []
    others = os.stat_result((0o100640, 0, 0, 1, 4321, 4322, 0, 0, 0, 0))
    with (
        mock.patch("os.geteuid", return_value=0),
        mock.patch("os.fchown", lambda _, uid, gid: given.append((uid, gid))),
    ):
        os.close(files.create_private(tmp_path / "orphan", owner_of=tmp_path / "missing"))
        with mock.patch("os.stat", return_value=others):
            os.close(files.create_private(tmp_path / "new", owner_of=tmp_path))
    assert given == [(4321, 4322)]


def test_every_byte_is_written_although_the_system_takes_few_at_a_time(tmp_path: Path) -> None:
    descriptor = files.create_private(tmp_path / "slow")
    write = os.write
    with mock.patch("os.write", lambda fd, content: write(fd, content[:3])):
        files.write_all(descriptor, b"ten bytes.")
    os.close(descriptor)
    assert (tmp_path / "slow").read_bytes() == b"ten bytes."


def test_link_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        files.link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"


def test_unlinking_tells_whether_the_name_was_there(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    assert files.unlink(tmp_path / "there")
    assert not files.unlink(tmp_path / "there")


def test_copy_starts_at_the_beginning_and_leaves_both_open(tmp_path: Path) -> None:
    content = os.urandom(3 * files.CHUNK_BYTES + 7)
    (tmp_path / "source").write_bytes(content)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    os.lseek(source, 1000, os.SEEK_SET)
    copy = files.create_private(tmp_path / "copy")
    files.copy(source, copy)
    assert (tmp_path / "copy").read_bytes() == content
    os.close(source)
    os.close(copy)


def test_attributes_are_copied_with_the_mode(tmp_path: Path) -> None:
    live, pending = tmp_path / "live", tmp_path / "pending"
    for path, mode in ((live, 0o640), (pending, 0o600)):
        path.write_text("")
        path.chmod(mode)
    os.setxattr(live, "user.label", b"kept")
    files.copy_attributes(live, pending)
    assert stat.S_IMODE(pending.stat().st_mode) == 0o640
    assert os.getxattr(pending, "user.label") == b"kept"


def test_owner_is_changed_only_where_it_differs(tmp_path: Path) -> None:
    live, pending = tmp_path / "live", tmp_path / "pending"
    live.write_text("")
    pending.write_text("")
    with mock.patch("os.chown", side_effect=PermissionError):
        files.copy_attributes(live, pending)
    other = os.stat_result((0o100640, 0, 0, 1, 4321, 4321, 0, 0, 0, 0))
    given: list[tuple[int, int]] = []
    with (
        mock.patch("os.stat", lambda path: other if path == live else os.lstat(path)),
        mock.patch("os.chown", lambda _, uid, gid: given.append((uid, gid))),
    ):
        files.copy_attributes(live, pending)
    assert given == [(4321, 4321)]


def test_file_system_without_extended_attributes_is_no_error(tmp_path: Path) -> None:
    live, pending = tmp_path / "live", tmp_path / "pending"
    live.write_text("")
    pending.write_text("")
    unknown = OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    with mock.patch("os.listxattr", side_effect=unknown):
        files.copy_attributes(live, pending)
    broken = OSError(errno.EIO, "broken disk")
    with mock.patch("os.listxattr", side_effect=broken), pytest.raises(OSError, match="broken"):
        files.copy_attributes(live, pending)


@pytest.mark.parametrize(("code", "full"), [("ENOSPC", 1), ("EDQUOT", 1), ("EIO", 0)])
def test_full_disk_is_told_from_a_broken_one(code: str, full: int) -> None:
    assert files.is_full(OSError(getattr(errno, code), "")) == bool(full)


def test_sha256_is_the_one_that_the_shell_prints(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def refuse(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_folder_that_cannot_be_synced_is_a_warning_once(
    code: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch("os.fsync", side_effect=refuse(code)):
        files.sync_folder(tmp_path)
        files.sync_folder(tmp_path)
    assert [str(tmp_path) in message for message in caplog.messages] == [True]


def test_folder_whose_disk_fails_and_file_that_cannot_be_synced_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for code, sync in ((errno.EIO, files.sync_folder), (errno.EINVAL, files.sync_file)):
        path = tmp_path if code == errno.EIO else tmp_path / "file"
        refused = refuse(code)
        with (
            mock.patch("os.fsync", side_effect=refused),
            pytest.raises(OSError, match=refused.strerror),
        ):
            sync(path)


def test_mode_that_is_right_is_not_set_and_one_that_locks_out_is_an_error(tmp_path: Path) -> None:
    live, pending = tmp_path / "live", tmp_path / "pending"
    for path in (live, pending):
        path.touch(mode=0o600)
    with mock.patch("os.chmod", side_effect=refuse(errno.EPERM)):
        files.copy_attributes(live, pending)
        live_mode = os.stat_result((0o100660, 0, 0, 1, os.getuid(), os.getgid(), 0, 0, 0, 0))
        real = os.stat
        with (
            mock.patch("os.stat", lambda path: live_mode if path == live else real(path)),
            pytest.raises(PermissionError),
        ):
            files.copy_attributes(live, pending)


def test_label_that_may_not_be_set_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live, pending = tmp_path / "live", tmp_path / "pending"
    live.touch(mode=0o600)
    pending.touch(mode=0o600)
    os.setxattr(live, "user.label", b"wanted")
    with mock.patch("os.setxattr", side_effect=refuse(errno.EACCES)):
        files.copy_attributes(live, pending)
    assert "user.label" in caplog.text


def test_disk_that_tells_no_size_has_room(tmp_path: Path) -> None:
    with mock.patch("shutil.disk_usage", side_effect=refuse(errno.ENOSYS)):
        assert files.has_room(tmp_path, 10**15)
    assert not files.has_room(tmp_path, 10**18)


def test_name_that_cannot_be_looked_at_is_not_told_as_gone(tmp_path: Path) -> None:
    """``Path.exists`` does so since Python 3.14: a disk that fails would look like an empty one."""
    (tmp_path / "file").touch()
    assert files.exists(tmp_path / "file")
    assert not files.exists(tmp_path / "none")
    assert not files.exists(tmp_path / "file" / "below")
    with mock.patch("os.stat", side_effect=refuse(errno.EIO)), pytest.raises(OSError):  # noqa: PT011
        files.exists(tmp_path / "file")


def test_folder_that_cannot_be_locked_is_the_one_that_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        mock.patch("fcntl.flock", side_effect=refuse(errno.ENOLCK)),
        files.exclusive_folder(tmp_path),
    ):
        pass
    (record,) = caplog.records
    assert str(tmp_path) in record.getMessage().split()[0]


def test_limit_on_the_length_of_files_is_told_where_it_is_met() -> None:
    error = OSError(errno.EFBIG, "File too large")
    with mock.patch("backups.processes.limits.file_bytes", return_value=100_000):
        assert files.words(error) == (
            "File too large (this process may write 100,000 bytes to a file: ulimit -f)"
        )
    with mock.patch("backups.processes.limits.file_bytes", return_value=None):
        assert files.words(error) == "File too large"  # the file system's own
