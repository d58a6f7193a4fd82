import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from backups.disk import attributes
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


# Who may open what is in it


def manage(data: Path, *arguments: str, umask: int = 0o022) -> str:
    """Run a command as a service or a shell does, whose umask lets others read new files."""
    ended = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env=environment(data),
        umask=umask,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def modes(data: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in data.iterdir() if path.is_file()}


@pytest.mark.proof
def test_all_that_a_site_makes_in_an_open_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    """As a unit of systemd with StateDirectory= makes that folder."""
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    said = manage(data, "migrate", "--verbosity", "0")
    assert "taskdog.W060" in said
    assert f"chmod o-rwx {data}" in said
    manage(data, "backup", "-o", str(data / "snapshot.db"))
    manage(data, "restore_db", str(data / "snapshot.db"), "--yes")
    manage(data, "export_tasks", "-o", str(data / "tasks.json"))
    manage(data, "create_api_key", "tester", umask=0o000)
    manage(data, "check")  # applies what is pending
    found = modes(data)
    assert any(name.startswith("tasks.db.pre-restore-") for name in found), found
    assert {"tasks.db", "tasks.db.lock", "api_keys.json", "secret_key", "tasks.json"} < set(found)
    assert set(found.values()) == {0o600}
    assert {path.stat().st_mode & 0o777 for path in data.iterdir() if path.is_dir()} == {0o700}


@pytest.mark.parametrize(
    ("mode", "closed"),
    [
        (0o644, 0o600),  # as a umask of 022 makes it
        (0o664, 0o660),  # as one of 002 does, for a group that writes
        (0o666, 0o660),
        (0o606, 0o600),
        (0o660, 0o660),
        (0o640, 0o640),
        (0o600, 0o600),
    ],
)
def test_file_of_an_earlier_release_is_closed_to_others_and_not_to_a_group_that_writes(
    mode: int, closed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name in ("tasks.db", "tasks.db-wal", "tasks.db.pre-restore-20260101-000000", "notes"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    data_folder.close_files(tmp_path, "tasks.db")
    found = modes(tmp_path)
    assert found.pop("notes") == mode, "that is not the site's"
    assert set(found.values()) == {closed}
    assert len(caplog.messages) == 3 * (mode != 0o600)
    assert all(f"{mode:04o}" in message for message in caplog.messages)


def test_link_and_another_users_file_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.touch()
    target.chmod(0o644)
    (tmp_path / "tasks.db").symlink_to(target)
    data_folder.close_files(tmp_path, "tasks.db")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    data_folder.close_files(tmp_path, "target")
    assert target.stat().st_mode & 0o777 == 0o644


def test_nothing_is_closed_where_others_can_put_links_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").touch()
    (tmp_path / "tasks.db").chmod(0o644)
    tmp_path.chmod(0o777)
    data_folder.close_files(tmp_path, "tasks.db")
    assert modes(tmp_path) == {"tasks.db": 0o644}


def test_file_that_cannot_be_closed_stops_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tasks.db").touch()
    (tmp_path / "tasks.db").chmod(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    data_folder.close_files(tmp_path, "tasks.db")
    assert "may be open to other users: Operation not permitted" in caplog.text
