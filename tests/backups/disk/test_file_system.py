"""On which kind of file system a folder is."""

from pathlib import Path
from unittest import mock

import pytest

from backups.disk import file_system

MOUNTS = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /mnt rw shared:1 - nfs4 server:/export rw
24 23 0:22 / /mnt/local rw - tmpfs tmpfs rw
25 22 0:23 / /with\040space rw - cifs //server/share rw
26 22 0:24 / /twice rw - nfs server:/first rw
27 26 0:25 / /twice rw - xfs /dev/vdb rw
28 22 0:26 / /srv rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "is_local"),
    [
        ("/", "ext4", True),
        ("/home/site", "ext4", True),
        ("/mnt", "nfs4", False),
        ("/mnt/data", "nfs4", False),
        ("/mnt/local/data", "tmpfs", True),
        ("/mnt-not/data", "ext4", True),
        ("/with space/data", "cifs", False),
        ("/twice", "xfs", True),
        ("/srv/data", "fuse.sshfs", False),
    ],
)
def test_deepest_and_last_mount_counts(
    folder: str, kind: str, is_local: bool, tmp_path: Path
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS.lstrip())
    with mock.patch.object(file_system, "MOUNTS", tmp_path / "mountinfo"):
        assert file_system.kind_of(Path(folder)) == kind
        assert file_system.is_local(Path(folder)) is is_local


def test_system_that_does_not_tell_is_not_local(tmp_path: Path) -> None:
    with mock.patch.object(file_system, "MOUNTS", tmp_path / "missing"):
        assert file_system.kind_of(tmp_path) is None
        assert not file_system.is_local(tmp_path)


def test_system_tells_of_this_folder(tmp_path: Path) -> None:
    assert file_system.kind_of(Path("/proc")) == "proc"
    assert file_system.kind_of(tmp_path) is not None
