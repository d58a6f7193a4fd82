"""The copy that an import reads: whole, private, and gone afterwards."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from taskdog.imports.exceptions import UnusableSourceError
from taskdog.imports.private_copy import private_copy, sweep
from tests.processes import CHECKOUT


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file with both sidecars; what is in it does not matter here."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for part in ("", "-wal", "-journal", "-shm"):
        (folder / f"tasks.db{part}").write_text(f"content{part}")
    return folder / "tasks.db"


def test_file_and_sidecars_are_copied_and_gone_after_the_block(
    database: Path, scratch: Path
) -> None:
    with private_copy(database, beside=scratch) as copy:
        (folder,) = scratch.iterdir()
        assert copy.parent == folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            "tasks.db": "content",
            "tasks.db-wal": "content-wal",
            "tasks.db-journal": "content-journal",
        }
    assert list(scratch.iterdir()) == []


def test_sidecars_of_a_linked_database_are_found(database: Path, scratch: Path) -> None:
    link = scratch.parent / "link.db"
    link.symlink_to(database)
    with private_copy(link, beside=scratch) as copy:
        assert copy.with_name("tasks.db-wal").read_text() == "content-wal"


@pytest.mark.parametrize("part", ["", "-wal", "-journal"])
def test_a_database_that_changes_meanwhile_is_refused(
    database: Path, scratch: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfileobj

    def copy_and_write(source: BinaryIO, destination: BinaryIO, length: int) -> None:
        copy(source, destination, length)
        if destination.name.endswith("-journal"):
            database.with_name(f"tasks.db{part}").write_text("longer than it was before")

    monkeypatch.setattr(shutil, "copyfileobj", copy_and_write)
    with (
        pytest.raises(UnusableSourceError, match="Stop its server"),
        private_copy(database, beside=scratch),
    ):
        raise AssertionError("a torn copy was handed out")
    assert list(scratch.iterdir()) == []


def test_a_copy_that_cannot_be_written_leaves_nothing(
    database: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with (
        pytest.raises(OSError, match="no space left"),
        private_copy(database, beside=scratch),
    ):
        raise AssertionError("there is no copy")
    assert list(scratch.iterdir()) == []


HOLD = """
import sys
from pathlib import Path
from typing import BinaryIO
from taskdog.imports.private_copy import private_copy
with private_copy(Path(sys.argv[1]), beside=Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_import_leaves_is_swept_and_a_living_one_is_not(
    database: Path, scratch: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database), str(scratch)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        sweep(scratch)
        assert len(list(scratch.iterdir())) == 1, "its owner lives"
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert len(list(scratch.iterdir())) == 1
    with private_copy(database, beside=scratch) as copy:
        assert list(scratch.iterdir()) == [copy.parent], "what the other left is gone"


def test_a_sweep_leaves_other_names_alone(scratch: Path) -> None:
    (scratch / "data").mkdir()
    (scratch / ".import-file").write_text("a file, not a folder")
    sweep(scratch)
    assert {path.name for path in scratch.iterdir()} == {"data", ".import-file"}
