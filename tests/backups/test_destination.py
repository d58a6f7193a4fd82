import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backups import destination, files
from backups.exceptions import DestinationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "saved.db"


def content_of(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def broken(*chunks: bytes, error: BaseException) -> Iterator[bytes]:
    yield from chunks
    raise error


def test_file_appears_whole_and_for_its_owner_alone(folder: Path, path: Path) -> None:
    destination.save([b"one ", b"two"], path)
    assert content_of(folder) == {"saved.db": b"one two"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_has_not_its_name_before_it_is_whole(folder: Path, path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        assert content_of(folder) == {"saved.db.part": b"one"}
        assert stat.S_IMODE((folder / "saved.db.part").stat().st_mode) == 0o600
        yield b"two"

    destination.save(chunks(), path)
    assert content_of(folder) == {"saved.db": b"onetwo"}


def test_file_and_folder_are_synced_before_and_after_it_gets_its_name(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, bool]] = []

    def watched(name: str) -> Callable[..., None]:
        real = getattr(files, name)

        def step(*args: Any) -> None:
            steps.append((name, path.exists()))
            real(*args)

        return step

    for name in ("sync", "link", "sync_folder"):
        monkeypatch.setattr(files, name, watched(name))
    destination.save([b"x"], path)
    assert steps == [("sync", False), ("link", False), ("sync_folder", True)]


@pytest.mark.parametrize("error", [ValueError("broke"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("there", [None, b"old"])
def test_failure_in_the_middle_leaves_what_was_there(
    folder: Path, path: Path, error: BaseException, there: bytes | None
) -> None:
    if there is not None:
        path.write_bytes(there)
    before = content_of(folder)
    with pytest.raises(type(error)):
        destination.save(broken(b"one", error=error), path, overwrite=True)
    assert content_of(folder) == before


@pytest.mark.parametrize("step", ["write_all", "sync", "link", "replace"])
def test_step_that_the_system_refuses_leaves_what_was_there(
    folder: Path, path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite = step == "replace"
    if overwrite:
        path.write_bytes(b"old")
    before = content_of(folder)

    def refuse(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, step, refuse)
    with pytest.raises(DestinationError, match=r"saved\.db could not be written: No space left"):
        destination.save([b"one"], path, overwrite=overwrite)
    assert content_of(folder) == before


def test_file_that_exists_is_not_overwritten(folder: Path, path: Path) -> None:
    path.write_bytes(b"old")

    asked = broken(error=AssertionError("nothing should be asked for"))
    with pytest.raises(DestinationError, match="already exists") as refused:
        destination.save(asked, path)
    assert "--force" in refused.value.hint
    assert content_of(folder) == {"saved.db": b"old"}


def test_name_that_is_taken_makes_way_for_the_next(folder: Path, path: Path) -> None:
    for content in (b"one", b"two", b"three"):
        destination.save_as_new([content], path)
    assert content_of(folder) == {
        "saved.db": b"one",
        "saved-2.db": b"two",
        "saved-3.db": b"three",
    }


def test_name_that_another_process_is_writing_makes_way_for_the_next(
    folder: Path, path: Path
) -> None:
    with (folder / "saved.db.part").open("wb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        assert destination.save_as_new([b"mine"], path) == folder / "saved-2.db"
    assert (folder / "saved-2.db").read_bytes() == b"mine"


def test_name_that_was_published_before_the_part_was_ours_makes_way(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the name and the lock another process may come to its end."""
    original = destination._create_locked

    def late(part: Path) -> int:
        if part.name == "saved.db.part":
            path.write_bytes(b"theirs")
        return original(part)

    monkeypatch.setattr(destination, "_create_locked", late)
    assert destination.save_as_new([b"mine"], path) == folder / "saved-2.db"
    assert content_of(folder) == {"saved.db": b"theirs", "saved-2.db": b"mine"}


def test_name_that_is_taken_at_the_last_moment_is_an_error_and_no_empty_file(
    folder: Path, path: Path
) -> None:
    def take() -> Iterator[bytes]:
        yield b"mine"
        path.write_bytes(b"theirs")

    with pytest.raises(DestinationError, match="already exists"):
        destination.save_as_new(take(), path)
    assert content_of(folder) == {"saved.db": b"theirs"}


def test_many_at_once_each_have_a_name(folder: Path, path: Path) -> None:
    contents = [bytes([number]) * 5000 for number in range(8)]
    threads = [
        threading.Thread(target=destination.save_as_new, args=([content], path))
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(content_of(folder).values()) == contents


def test_file_that_exists_is_overwritten_when_asked(folder: Path, path: Path) -> None:
    path.write_bytes(b"old and longer")
    path.chmod(0o644)
    destination.save([b"new"], path, overwrite=True)
    assert content_of(folder) == {"saved.db": b"new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_that_came_meanwhile_is_not_overwritten(folder: Path, path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"ours"
        path.write_bytes(b"theirs")

    with pytest.raises(DestinationError, match="already exists"):
        destination.save(chunks(), path)
    assert content_of(folder) == {"saved.db": b"theirs"}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_system_without_links_will_do(
    folder: Path, path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "link", refuse)
    destination.save([b"one"], path)
    assert content_of(folder) == {"saved.db": b"one"}


def test_part_of_a_killed_process_is_used_again(folder: Path, path: Path) -> None:
    (folder / "saved.db.part").write_bytes(b"left by a killed process")
    destination.save([b"new"], path)
    assert content_of(folder) == {"saved.db": b"new"}


def test_part_that_another_process_writes_is_left_alone(folder: Path, path: Path) -> None:
    with (folder / "saved.db.part").open("wb") as other:
        other.write(b"theirs")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DestinationError, match="Another process is writing"):
            destination.save([b"ours"], path)
    assert content_of(folder) == {"saved.db.part": b"theirs"}


def test_of_two_at_once_one_wins_and_the_other_is_refused(folder: Path, path: Path) -> None:
    first_is_at_work, second_has_ended = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"first "
        first_is_at_work.set()
        assert second_has_ended.wait(20)
        yield b"whole"

    first = threading.Thread(target=destination.save, args=(slow(), path))
    first.start()
    try:
        assert first_is_at_work.wait(20)
        with pytest.raises(DestinationError, match="Another process is writing"):
            destination.save([b"second"], path)
    finally:
        second_has_ended.set()
        first.join()
    assert content_of(folder) == {"saved.db": b"first whole"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_that_another_process_publishes_at_the_last_moment_is_not_emptied(
    folder: Path, path: Path, overwrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has the ``.part`` under its lock, and renames it just before we get the lock."""
    part = folder / "saved.db.part"
    part.write_bytes(b"theirs, whole")
    real = fcntl.flock

    def publish_then_lock(descriptor: int, operation: int) -> None:
        if part.exists() and part.read_bytes() == b"theirs, whole":
            os.rename(part, path)
        real(descriptor, operation)

    def chunks() -> Iterator[bytes]:
        assert path.read_bytes() == b"theirs, whole"
        yield b"ours"

    monkeypatch.setattr(fcntl, "flock", publish_then_lock)
    if overwrite:
        destination.save(chunks(), path, overwrite=True)
        assert content_of(folder) == {"saved.db": b"ours"}
    else:
        with pytest.raises(DestinationError, match="already exists"):
            destination.save(chunks(), path)
        assert content_of(folder) == {"saved.db": b"theirs, whole"}


def test_crash_between_the_two_names_of_a_whole_file_does_not_cost_it(
    folder: Path, path: Path
) -> None:
    path.write_bytes(b"whole")
    os.link(path, folder / "saved.db.part")
    with pytest.raises(ValueError, match="broke"):
        destination.save(broken(b"new", error=ValueError("broke")), path, overwrite=True)
    assert content_of(folder) == {"saved.db": b"whole"}


def test_part_of_another_process_is_not_removed_after_ours_was_renamed(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = folder / "saved.db.part"
    real = files.sync_folder

    def another_begins(where: Path) -> None:
        real(where)
        part.write_bytes(b"the next one's")

    monkeypatch.setattr(files, "sync_folder", another_begins)
    destination.save([b"ours"], path, overwrite=True)
    assert content_of(folder) == {"saved.db": b"ours", "saved.db.part": b"the next one's"}


def test_link_under_the_name_of_the_part_is_not_followed(folder: Path, path: Path) -> None:
    (folder / "precious").write_bytes(b"precious")
    (folder / "saved.db.part").symlink_to(folder / "precious")
    with pytest.raises(DestinationError, match="could not be written"):
        destination.save([b"ours"], path)
    assert (folder / "precious").read_bytes() == b"precious"
    assert not path.exists()


def test_folder_that_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(DestinationError, match=f"There is no folder {folder}/none"):
        destination.check(folder / "none" / "saved.db", overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_not_a_file_is_never_replaced(
    folder: Path, path: Path, make: Any, overwrite: bool
) -> None:
    make(path)
    kind = stat.S_IFMT(path.stat().st_mode)
    with pytest.raises(DestinationError, match="is not a file"):
        destination.save([b"x"], path, overwrite=overwrite)
    assert stat.S_IFMT(path.stat().st_mode) == kind
    assert [each.name for each in folder.iterdir()] == ["saved.db"]


def test_name_that_is_too_long_is_an_error_of_ours(folder: Path) -> None:
    with pytest.raises(DestinationError, match="File name too long"):
        destination.save([b"x"], folder / ("x" * 254))
    assert not list(folder.iterdir())


def test_check_writes_nothing(folder: Path, path: Path) -> None:
    destination.check(path, overwrite=False)
    assert not list(folder.iterdir())


def test_long_file_is_synced_some_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(destination, "SYNC_BYTES", 8)
    monkeypatch.setattr(files, "sync", sync)
    destination.save([b"12345", b"67890", b"123", b"45678", b"9"], path)
    assert synced == [10, 18, 19]
