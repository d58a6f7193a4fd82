import errno
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from backups.disk import refusals
from backups.keys import key_usage
from backups.keys.key_usage import KeyUsage, forget, last_used

ONE, OTHER = "1" * 64, "2" * 64


def mark(keys_file: Path, sha256: str = ONE) -> Path:
    return keys_file.with_name(f"{keys_file.name}.used") / sha256[:16]


def note(keys_file: Path, sha256: str) -> None:
    KeyUsage().note(keys_file, sha256)


def test_key_that_nobody_used_has_no_time(keys_file: Path) -> None:
    assert last_used(keys_file, ONE) is None


def test_use_is_noted_for_that_key_alone_in_files_for_the_owner_alone(keys_file: Path) -> None:
    begun = datetime.now(UTC) - timedelta(seconds=1)  # a file system may round down
    note(keys_file, ONE)
    used = last_used(keys_file, ONE)
    assert used is not None
    assert begun <= used <= datetime.now(UTC) + timedelta(seconds=1)
    assert last_used(keys_file, OTHER) is None
    assert mark(keys_file).stat().st_mode & 0o777 == 0o600
    assert mark(keys_file).parent.stat().st_mode & 0o777 == 0o700


def test_many_requests_of_a_minute_write_once(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = KeyUsage()
    usage.note(keys_file, ONE)
    with monkeypatch.context() as patched:
        patched.setattr(os, "utime", lambda *_, **__: pytest.fail("written again"))
        for _ in range(100):
            usage.note(keys_file, ONE)
    os.utime(mark(keys_file), (0, 0))
    monkeypatch.setattr(key_usage, "EVERY", 0.0)
    usage.note(keys_file, ONE)
    used = last_used(keys_file, ONE)
    assert used is not None
    assert used.year > 1970


@pytest.mark.proof
def test_processes_that_serve_at_once_undo_nothing_of_each_other(keys_file: Path) -> None:
    keys = [f"{number:x}" * 64 for number in range(16)]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(note, [keys_file] * 16, keys))
    assert all(last_used(keys_file, key) for key in keys)


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_what_cannot_be_noted_is_said_once_and_nothing_fails(
    reason: int,
    keys_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(reason, os.strerror(reason))

    refusals.warn.cache_clear()
    monkeypatch.setattr(os, "utime", refuse)
    for key in (ONE, OTHER):
        note(keys_file, key)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(keys_file.parent) in record.getMessage()
    assert os.strerror(reason) in record.getMessage()


def test_file_in_place_of_the_folder_fails_nothing(keys_file: Path) -> None:
    mark(keys_file).parent.write_text("kept")
    note(keys_file, ONE)
    assert last_used(keys_file, ONE) is None
    assert mark(keys_file).parent.read_text() == "kept"


def test_forgotten_key_leaves_nothing_and_can_be_forgotten_again(keys_file: Path) -> None:
    note(keys_file, ONE)
    forget(keys_file, ONE)
    forget(keys_file, ONE)
    assert last_used(keys_file, ONE) is None
    assert list(mark(keys_file).parent.iterdir()) == []
