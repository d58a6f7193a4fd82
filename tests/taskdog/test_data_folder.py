import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from backups import attributes
from taskdog import data_folder
from tests.processes import CHECKOUT, environment

PRINT_KEY = "from taskdog.settings import SECRET_KEY; print(SECRET_KEY)"


def test_a_missing_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = data_folder.prepare(tmp_path / "made" / "data")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    with pytest.raises(ImproperlyConfigured, match=f"{path} cannot be created"):
        data_folder.prepare(path)
    assert path.read_text() == "kept"


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"/proc/taskdog .*TASKDOG_DATA_DIR"):
        data_folder.prepare(Path("/proc/taskdog"))


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Permission bits do not hold back root, who may run the tests.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ImproperlyConfigured, match=f"{tmp_path} cannot be written"):
        data_folder.prepare(tmp_path)


def test_the_secret_key_stays_the_same_from_start_to_start(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    key = data_folder.secret_key(path)
    assert len(key) >= 50
    assert data_folder.secret_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_end_with_the_same_secret_key(tmp_path: Path) -> None:
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT_KEY],
            cwd=CHECKOUT,
            env=environment(tmp_path / "data"),
            stdout=subprocess.PIPE,
        )
        for _ in range(6)
    ]
    keys = {start.communicate(timeout=60)[0] for start in starts}
    assert [start.returncode for start in starts] == [0] * 6
    assert keys == {(tmp_path / "data" / "secret_key").read_bytes() + b"\n"}


def test_an_empty_secret_key_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.touch(mode=0o600)
    with pytest.raises(ImproperlyConfigured, match=f"{path} is empty"):
        data_folder.secret_key(path)


def test_a_secret_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    key = data_folder.secret_key(path)
    path.chmod(0o644)
    with pytest.raises(ImproperlyConfigured, match="chmod 600") as refused:
        data_folder.secret_key(path)
    assert key not in str(refused.value)


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "made before"])
def test_secret_key_that_everybody_may_replace_stops_the_start(
    is_new: bool, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "secret_key"
    path.parent.mkdir()
    if not is_new:
        data_folder.secret_key(path)
    path.parent.chmod(0o777)
    with pytest.raises(ImproperlyConfigured, match=f"chmod o-w '{path.parent}'"):
        data_folder.secret_key(path)
    assert path.exists() is not is_new


def test_secret_key_that_root_makes_is_given_to_the_folder_s_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who runs the server, and could not read it else. Only that far does this need root."""
    given: list[tuple[int, int]] = []
    folder = tmp_path.stat().st_ino
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    monkeypatch.setattr(
        attributes, "_owner", lambda of: (4711, 42) if of.st_ino == folder else (0, 0)
    )
    data_folder.secret_key(tmp_path / "secret_key")
    assert given == [(4711, 42)]
