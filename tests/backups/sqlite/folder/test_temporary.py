"""Temporary files: private, gone with their block, and swept when their owner was killed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import sweep, temporary_file, temporary_folder
from tests.backups import builders
from tests.backups.stores import new_snapshot, new_store


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path / "tasks.db")


def test_temporary_file_is_private_and_gone_after_its_block(paths: StorePaths) -> None:
    with temporary_file(paths, "incoming") as file:
        assert file.path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(paths.folder) == []


def test_temporary_folder_is_gone_with_what_is_in_it(paths: StorePaths) -> None:
    with temporary_folder(paths, "keeping") as folder:
        assert folder.path.stat().st_mode & 0o777 == 0o700
        (folder.path / "content").write_text("half")
    assert os.listdir(paths.folder) == []


def test_sidecars_go_with_their_file(paths: StorePaths) -> None:
    with temporary_file(paths, "migrating") as file:
        for suffix in ("-journal", "-wal", "-shm"):
            file.path.with_name(file.path.name + suffix).touch()
    assert os.listdir(paths.folder) == []


def test_file_that_was_renamed_stays(paths: StorePaths) -> None:
    with temporary_file(paths, "incoming") as file:
        files.replace(file.path, paths.pending)
    assert os.listdir(paths.folder) == [paths.pending.name]


def test_bytes_of_a_file_without_a_name_can_still_be_read(paths: StorePaths) -> None:
    with temporary_file(paths, "snapshot") as file:
        files.write_all(file.descriptor, b"content")
        descriptor = os.dup(file.descriptor)
    assert os.pread(descriptor, 100, 0) == b"content"
    os.close(descriptor)


def test_sweep_removes_what_a_killed_process_left(paths: StorePaths) -> None:
    def leave() -> None:
        with temporary_file(paths, "snapshot") as file:
            file.path.with_name(f"{file.path.name}-journal").touch()
            with temporary_folder(paths, "keeping") as folder:
                (folder.path / "content").write_text("half")
                os.kill(os.getpid(), 9)

    builders.in_killed_process(leave)
    assert len(os.listdir(paths.folder)) == 3
    assert len(sweep(paths)) == 2
    assert os.listdir(paths.folder) == []


def test_sweep_leaves_the_file_of_a_living_process(paths: StorePaths) -> None:
    def work(requests: IO[str], answers: IO[str]) -> None:
        with temporary_file(paths, "incoming") as file:
            print(file.path.name, file=answers)
            requests.readline()

    with builders.forked(work) as (_, _, answers):
        name = answers.readline().strip()
        assert sweep(paths) == []
        assert os.listdir(paths.folder) == [name]
    assert [path.name for path in sweep(paths)] == [name]


def test_sweep_leaves_the_file_of_this_process(paths: StorePaths) -> None:
    with temporary_file(paths, "incoming") as file:
        assert sweep(paths) == []
        assert file.path.exists()


def test_sweep_touches_nothing_else(paths: StorePaths, tmp_path: Path) -> None:
    builders.healthy(paths.database, "row")
    for path in (paths.pending, paths.receipts, paths.lock, tmp_path / "notes.txt"):
        path.write_text("stays")
    before = builders.folder(tmp_path)
    assert sweep(paths) == []
    assert builders.folder(tmp_path) == before


def test_what_cannot_be_removed_waits_and_stops_nothing(paths: StorePaths, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("stays")
    paths.temporary("incoming").symlink_to(tmp_path / "elsewhere")
    left = paths.temporary("snapshot")
    left.touch()
    assert sweep(paths) == [left]
    assert (tmp_path / "elsewhere").read_text() == "stays"


def test_owner_that_is_swept_between_two_steps_takes_another_name(paths: StorePaths) -> None:
    """The sweeper comes between the creation of a file and its lock."""
    create = files.create_private
    names: list[Path] = []

    def create_and_be_swept(path: Path, *, owner_of: Path | None = None) -> int:
        descriptor = create(path, owner_of=owner_of)
        names.append(path)
        if len(names) == 1:
            assert sweep(paths) == [path]
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "create_private", create_and_be_swept)
        with temporary_file(paths, "incoming") as file:
            assert [file.path] == names[1:]
            assert file.path.exists()


def test_snapshot_that_was_killed_in_the_middle_is_swept(paths: StorePaths) -> None:
    builders.large(paths.database)

    def take_half() -> None:
        with (
            temporary_file(paths, "snapshot") as file,
            closing(sqlite3.connect(paths.database, isolation_level=None)) as connection,
        ):
            connection.set_progress_handler(lambda: os.kill(os.getpid(), 9) or 0, 10_000)  # type: ignore[func-returns-value]
            connection.execute("VACUUM INTO ?", (str(file.path),))

    builders.in_killed_process(take_half)
    left = paths.temporaries()[0]
    assert sweep(paths) == [left]
    assert os.listdir(paths.folder) == ["tasks.db"]


@pytest.mark.parametrize(("step", "verb"), [("link", "stage"), ("replace", "discard")])
def test_start_in_the_middle_leaves_the_earlier_pending_restore_its_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, verb: str
) -> None:
    """It has an owner from the moment on in which it has its temporary name."""
    store, snapshot = new_store(tmp_path), new_snapshot(tmp_path)
    store.stage(snapshot)
    real, swept = getattr(files, step), list[list[Path]]()

    def then_sweep(source: Path, destination: Path) -> None:
        real(source, destination)
        if ".earlier-" in destination.name:
            swept.append(sweep(store.paths))

    monkeypatch.setattr(files, step, then_sweep)
    if verb == "stage":
        store.stage(snapshot)
    else:
        store.real.discard_pending_restore(discarded_by="tester")
    assert swept == [[]]
    assert store.temporaries() == []
    assert store.paths.pending.exists() == (verb == "stage")
