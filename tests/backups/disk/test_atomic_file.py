import errno
import fcntl
import os
import re
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from backups.disk import atomic_file, files
from backups.exceptions import DestinationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "saved.db"


def left(name: str = "saved.db") -> str:
    """What a run that was killed while it wrote a file of this name leaves beside it."""
    return f"{name}.backups-0123456789abcdef.part"


def content_of(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def broken(*chunks: bytes, error: BaseException) -> Iterator[bytes]:
    yield from chunks
    raise error


def test_file_appears_whole_and_for_its_owner_alone(folder: Path, path: Path) -> None:
    atomic_file.save([b"one ", b"two"], path)
    assert content_of(folder) == {"saved.db": b"one two"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["a" * 255, "名" * 85])
def test_name_may_be_as_long_as_a_name_can_be(folder: Path, name: str) -> None:
    (folder / left(name[:50])).touch()
    atomic_file.save([b"one"], folder / name)
    assert content_of(folder) == {name: b"one"}


def test_file_has_not_its_name_before_it_is_whole(folder: Path, path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        (part,) = folder.iterdir()
        assert re.fullmatch(r"saved\.db\.backups-[0-9a-f]{16}\.part", part.name)
        assert part.read_bytes() == b"one"
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        yield b"two"

    atomic_file.save(chunks(), path)
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
    atomic_file.save([b"x"], path)
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
        atomic_file.save(broken(b"one", error=error), path, overwrite=True)
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
        atomic_file.save([b"one"], path, overwrite=overwrite)
    assert content_of(folder) == before


def test_file_that_exists_is_not_overwritten(folder: Path, path: Path) -> None:
    path.write_bytes(b"old")

    asked = broken(error=AssertionError("nothing should be asked for"))
    with pytest.raises(DestinationError, match="already exists") as refused:
        atomic_file.save(asked, path)
    assert "--force" in refused.value.hint
    assert content_of(folder) == {"saved.db": b"old"}


def test_name_that_is_taken_makes_way_for_the_next(folder: Path, path: Path) -> None:
    for content in (b"one", b"two", b"three"):
        atomic_file.save_as_new([content], path)
    assert content_of(folder) == {
        "saved.db": b"one",
        "saved-2.db": b"two",
        "saved-3.db": b"three",
    }


def test_name_that_another_process_is_writing_makes_way_for_the_next(
    folder: Path, path: Path
) -> None:
    with (folder / left()).open("wb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        assert atomic_file.save_as_new([b"mine"], path) == folder / "saved-2.db"
    assert (folder / "saved-2.db").read_bytes() == b"mine"


def test_name_that_is_taken_at_the_last_moment_makes_way_too(folder: Path, path: Path) -> None:
    """Between the look at the name and the end another program may take it."""

    def take() -> Iterator[bytes]:
        yield b"mine"
        path.write_bytes(b"theirs")

    assert atomic_file.save_as_new(take(), path) == folder / "saved-2.db"
    assert content_of(folder) == {"saved.db": b"theirs", "saved-2.db": b"mine"}


def test_many_at_once_each_have_a_name(folder: Path, path: Path) -> None:
    contents = [bytes([number]) * 5000 for number in range(8)]
    threads = [
        threading.Thread(target=atomic_file.save_as_new, args=([content], path))
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
    atomic_file.save([b"new"], path, overwrite=True)
    assert content_of(folder) == {"saved.db": b"new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_that_came_meanwhile_is_not_overwritten(folder: Path, path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"ours"
        path.write_bytes(b"theirs")

    with pytest.raises(DestinationError, match="already exists"):
        atomic_file.save(chunks(), path)
    assert content_of(folder) == {"saved.db": b"theirs"}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_system_without_links_will_do(
    folder: Path, path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "link", refuse)
    atomic_file.save([b"one"], path)
    assert content_of(folder) == {"saved.db": b"one"}


def test_part_of_a_killed_process_is_used_again(folder: Path, path: Path) -> None:
    (folder / left()).write_bytes(b"left by a killed process")
    atomic_file.save([b"new"], path)
    assert content_of(folder) == {"saved.db": b"new"}


def test_part_that_another_process_writes_is_left_alone(folder: Path, path: Path) -> None:
    with (folder / left()).open("wb") as other:
        other.write(b"theirs")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DestinationError, match="Another process is writing"):
            atomic_file.save([b"ours"], path)
    assert content_of(folder) == {left(): b"theirs"}


def test_of_two_at_once_one_wins_and_the_other_is_refused(folder: Path, path: Path) -> None:
    first_is_at_work, second_has_ended = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"first "
        first_is_at_work.set()
        assert second_has_ended.wait(20)
        yield b"whole"

    first = threading.Thread(target=atomic_file.save, args=(slow(), path))
    first.start()
    try:
        assert first_is_at_work.wait(20)
        with pytest.raises(DestinationError, match="Another process is writing"):
            atomic_file.save([b"second"], path)
    finally:
        second_has_ended.set()
        first.join()
    assert content_of(folder) == {"saved.db": b"first whole"}


def test_crash_between_the_two_names_of_a_whole_file_does_not_cost_it(
    folder: Path, path: Path
) -> None:
    path.write_bytes(b"whole")
    os.link(path, folder / left())
    with pytest.raises(ValueError, match="broke"):
        atomic_file.save(broken(b"new", error=ValueError("broke")), path, overwrite=True)
    assert content_of(folder) == {"saved.db": b"whole"}


@pytest.mark.parametrize("name", ["other.db", "taskdog-backup-20261123-024538.db", "a\nb"])
def test_part_that_a_killed_process_left_of_another_name_is_removed(
    folder: Path, path: Path, name: str
) -> None:
    (folder / left(name)).write_bytes(b"left")
    atomic_file.save([b"ours"], path)
    assert content_of(folder) == {"saved.db": b"ours"}


@pytest.mark.parametrize(
    "name", ["saved.db.part", "saved.db.backups-0123456789ABCDEF.part", "x.backups-1.part"]
)
def test_file_of_another_form_is_nobody_s_part(folder: Path, path: Path, name: str) -> None:
    (folder / name).write_bytes(b"somebody's")
    atomic_file.save([b"ours"], path)
    assert content_of(folder) == {"saved.db": b"ours", name: b"somebody's"}


def test_link_under_the_name_of_a_part_is_neither_followed_nor_removed(
    folder: Path, path: Path
) -> None:
    precious = folder / "precious"
    precious.write_bytes(b"precious")
    (folder / left()).symlink_to(precious)
    (folder / left("hard")).hardlink_to(precious)
    atomic_file.save([b"ours"], path)
    assert content_of(folder) == {
        "precious": b"precious",
        left(): b"precious",
        left("hard"): b"precious",
        "saved.db": b"ours",
    }


def test_database_that_is_linked_as_a_part_keeps_its_locks(folder: Path, path: Path) -> None:
    """To close any descriptor of it would drop them."""
    live = folder / "live.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (n)")
        (folder / left()).hardlink_to(live)
        writer.execute("BEGIN IMMEDIATE")
        atomic_file.save([b"ours"], path)
        ask = (
            f"import sqlite3; sqlite3.connect({str(live)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
        )
        other = run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert "database is locked" in other.stderr


def test_pipe_under_the_name_of_a_part_holds_nobody_up(folder: Path, path: Path) -> None:
    os.mkfifo(folder / left())
    atomic_file.save([b"ours"], path)
    assert path.read_bytes() == b"ours"


def test_part_of_another_user_is_left_alone(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / left()).write_bytes(b"theirs")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with (folder / left()).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # nor can they keep us from writing
        atomic_file.save([b"ours"], path)
    assert content_of(folder) == {left(): b"theirs", "saved.db": b"ours"}


def test_link_that_is_put_under_the_name_meanwhile_is_not_followed(
    folder: Path, path: Path
) -> None:
    (folder / "precious").write_bytes(b"precious")

    def chunks() -> Iterator[bytes]:
        yield b"ours"
        path.symlink_to(folder / "precious")

    with pytest.raises(DestinationError, match="already exists"):
        atomic_file.save(chunks(), path)
    path.unlink()
    atomic_file.save(chunks(), path, overwrite=True)
    assert not path.is_symlink()
    assert content_of(folder) == {"precious": b"precious", "saved.db": b"ours"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_that_a_stranger_puts_in_the_place_of_ours_is_not_called_ours(
    folder: Path, path: Path, overwrite: bool
) -> None:
    """In a folder without the sticky bit they may rename what they don't own."""

    def chunks() -> Iterator[bytes]:
        yield b"ours"
        (part,) = folder.glob("*.part")
        part.unlink()
        part.write_bytes(b"theirs")

    if overwrite:
        path.write_bytes(b"old")
    before = content_of(folder)
    with pytest.raises(DestinationError, match="is not the file that was written") as error:
        atomic_file.save(chunks(), path, overwrite=overwrite)
    assert "only you can write" in error.value.hint
    assert {name: content_of(folder)[name] for name in before} == before
    assert path.exists() == overwrite


def test_folder_that_shows_no_names_can_be_written(folder: Path, path: Path) -> None:
    folder.chmod(0o300)
    try:
        atomic_file.save([b"ours"], path)
    finally:
        folder.chmod(0o700)
    assert path.read_bytes() == b"ours"


# Room


def test_what_has_no_room_is_refused_before_it_is_asked_for(folder: Path, path: Path) -> None:
    asked = broken(error=AssertionError("nothing should be asked for"))
    chunks = atomic_file.within_room(asked, folder, 2**60)
    with pytest.raises(DestinationError, match=r"has 1,152,921,504,606,846,976 bytes, but .* free"):
        atomic_file.save(chunks, path)
    assert not list(folder.iterdir())


def test_what_nobody_has_said_the_length_of_may_take_half_of_what_is_free(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)
    atomic_file.save(atomic_file.within_room([bytes(500)], folder, None), path)
    asked = iter([bytes(500), b"1", b"not asked for"])
    with pytest.raises(DestinationError, match="stopped after 500 bytes, half of the free space"):
        atomic_file.save(atomic_file.within_room(asked, folder, None), path, overwrite=True)
    assert list(asked) == [b"not asked for"]
    assert content_of(folder) == {"saved.db": bytes(500)}


# Names


def test_folder_that_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(DestinationError, match=f"There is no folder {folder}/none"):
        atomic_file.check(folder / "none" / "saved.db", overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_not_a_file_is_never_replaced(
    folder: Path, path: Path, make: Any, overwrite: bool
) -> None:
    make(path)
    kind = stat.S_IFMT(path.stat().st_mode)
    with pytest.raises(DestinationError, match="is not a file"):
        atomic_file.save([b"x"], path, overwrite=overwrite)
    assert stat.S_IFMT(path.stat().st_mode) == kind
    assert [each.name for each in folder.iterdir()] == ["saved.db"]


def test_name_that_is_too_long_is_an_error_of_ours(folder: Path) -> None:
    with pytest.raises(DestinationError, match="File name too long"):
        atomic_file.save([b"x"], folder / ("x" * 256))
    assert not list(folder.iterdir())


def test_check_writes_nothing(folder: Path, path: Path) -> None:
    atomic_file.check(path, overwrite=False)
    assert not list(folder.iterdir())


def test_long_file_is_synced_some_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(atomic_file, "SYNC_BYTES", 8)
    monkeypatch.setattr(files, "sync", sync)
    atomic_file.save([b"12345", b"67890", b"123", b"45678", b"9"], path)
    assert synced == [10, 18, 19]
