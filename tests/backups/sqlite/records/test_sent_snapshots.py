"""The list of snapshots that were sent: a convenience, which never stands in the way."""

import json
import logging
import threading
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records import sent_snapshots
from backups.sqlite.records.sent_snapshots import record_sent, was_sent
from tests.backups.stand_ins import Steps, counted, refuse_with

ONE, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path / "tasks.db")


def test_snapshot_that_was_sent_is_known_by_hash_and_size(paths: StorePaths) -> None:
    assert not was_sent(paths, sha256=ONE, size=4096)
    record_sent(paths, sha256=ONE, size=4096)
    record_sent(paths, sha256=OTHER, size=8192)
    assert was_sent(paths, sha256=ONE, size=4096)
    assert was_sent(paths, sha256=OTHER, size=8192)
    assert not was_sent(paths, sha256=ONE, size=8192)
    assert not was_sent(paths, sha256="ef" * 32, size=4096)
    assert paths.sent.stat().st_mode & 0o777 == 0o600


def test_line_tells_when_it_was_sent_in_utc(paths: StorePaths) -> None:
    record_sent(paths, sha256=ONE, size=4096)
    line = json.loads(paths.sent.read_text())
    assert line.keys() == {"at", "sha256", "size"}
    assert line["at"].endswith("+00:00")


def test_newest_are_kept(paths: StorePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_snapshots, "MOST", 20)
    for number in range(23):
        record_sent(paths, sha256=f"{number:064x}", size=number)
    assert len(paths.sent.read_bytes().splitlines()) == 20
    known = [was_sent(paths, sha256=f"{number:064x}", size=number) for number in range(23)]
    assert known == [False] * 3 + [True] * 20


@pytest.mark.parametrize("torn", [b'{"at": "2026-', b"\xff\xfe", b"[1]", b"null", b"7"])
def test_line_that_a_crash_cut_off_harms_no_other(torn: bytes, paths: StorePaths) -> None:
    record_sent(paths, sha256=ONE, size=4096)
    with paths.sent.open("ab") as end:
        end.write(torn)
    assert was_sent(paths, sha256=ONE, size=4096)
    record_sent(paths, sha256=OTHER, size=8192)
    assert was_sent(paths, sha256=ONE, size=4096)
    assert was_sent(paths, sha256=OTHER, size=8192)


def test_list_that_can_not_be_used_is_no_list(
    paths: StorePaths, caplog: pytest.LogCaptureFixture
) -> None:
    paths.sent.mkdir()
    with caplog.at_level(logging.WARNING):
        record_sent(paths, sha256=ONE, size=4096)
    assert "a snapshot that was sent is not remembered" in caplog.text
    assert str(paths.sent) in caplog.text
    assert not was_sent(paths, sha256=ONE, size=4096)


def test_full_disk_takes_no_half_line(paths: StorePaths, caplog: pytest.LogCaptureFixture) -> None:
    record_sent(paths, sha256=ONE, size=4096)
    before = paths.sent.read_bytes()
    write_all = files.write_all

    def half(descriptor: int, content: bytes) -> None:
        write_all(descriptor, content[: len(content) // 2])
        refuse_with(28)("write_all")

    with mock.patch.object(files, "write_all", half), caplog.at_level(logging.WARNING):
        record_sent(paths, sha256=OTHER, size=8192)
    assert "No space" in caplog.text
    assert paths.sent.read_bytes() == before


@pytest.mark.parametrize("at", [1, 2])
def test_no_step_that_fails_reaches_the_sender(
    at: int, paths: StorePaths, caplog: pytest.LogCaptureFixture
) -> None:
    with counted(Steps(refuse_with(5), at=at)) as steps, caplog.at_level(logging.WARNING):
        record_sent(paths, sha256=ONE, size=4096)
    assert len(steps.failed) == 1
    assert not was_sent(paths, sha256=ONE, size=4096)


def test_several_may_record_at_once(paths: StorePaths) -> None:
    def record(first: int) -> None:
        for number in range(first, 200, 4):
            record_sent(paths, sha256=f"{number:064x}", size=number)

    threads = [threading.Thread(target=record, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(was_sent(paths, sha256=f"{number:064x}", size=number) for number in range(200))
