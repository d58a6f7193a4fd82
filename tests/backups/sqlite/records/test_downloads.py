"""The receipts of downloads: beside the database, so that no restore takes them away."""

import hashlib
import json
import logging
import multiprocessing
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from backups.api import caller
from backups.disk import files
from backups.management import wording
from backups.site.outgoing_snapshot import OutgoingSnapshot
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records import downloads
from backups.sqlite.records.downloads import read_downloads, record_download
from backups.store import Download
from tests.backups import builders
from tests.backups.stand_ins import Steps, counted, refuse_with
from tests.backups.stores import Store, new_store
from tests.backups.uploads import add_tasks, snapshot_of
from tests.site import Site

ONE = Download(
    id="1",
    at=datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC),
    outcome="begun",
    by="laptop",
    address="203.0.113.9",
    method="compact",
    size=4096,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path)
    builders.large(store.database, "row", rows=8_000)
    return store


def outgoing(store: Store, *, compact: bool) -> OutgoingSnapshot:
    return OutgoingSnapshot(
        store.real.create_snapshot(compact=compact),
        taken_by="laptop",
        address="203.0.113.9",
        record=store.real.record_download,
    )


@pytest.mark.parametrize("compact", [True, False])
def test_whole_download_has_a_line_for_its_beginning_and_one_for_its_end(
    compact: bool, store: Store
) -> None:
    with outgoing(store, compact=compact) as snapshot:
        chunks = iter(snapshot)
        content = next(chunks) + next(chunks)
        (begun,) = store.real.list_downloads()
        content += b"".join(chunks)
    begun_line, ended_line = map(json.loads, store.paths.downloads.read_text().splitlines())
    assert (begun_line["outcome"], ended_line["outcome"]) == ("begun", "whole")
    (ended,) = store.real.list_downloads()
    assert (begun.id, begun.outcome, begun.sent) == (ended.id, "begun", None)
    assert (ended.by, ended.address, ended.method) == (
        "laptop",
        "203.0.113.9",
        "compact" if compact else "pages",
    )
    assert ended.sent == ended.size == len(content)
    assert ended.sha256 == (hashlib.sha256(content).hexdigest() if compact else None)
    assert store.paths.downloads.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("compact", [True, False])
def test_download_that_breaks_off_is_recorded_with_its_bytes(compact: bool, store: Store) -> None:
    with outgoing(store, compact=compact) as snapshot:
        chunks = iter(snapshot)
        first = next(chunks) + next(chunks)
    (download,) = store.real.list_downloads()
    assert (download.outcome, download.sent, download.sha256) == ("broken off", len(first), None)
    assert len(first) < download.size
    snapshot.close()
    assert len(store.paths.downloads.read_text().splitlines()) == 2, "told once"


def test_snapshot_that_nobody_reads_is_no_download(store: Store) -> None:
    outgoing(store, compact=True).close()
    assert store.real.list_downloads() == []
    assert not store.paths.downloads.exists()


def test_download_goes_on_if_its_receipt_can_not_be_written(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.paths.downloads.mkdir()
    with caplog.at_level(logging.WARNING), outgoing(store, compact=True) as snapshot:
        assert len(b"".join(snapshot)) == snapshot.size
    assert "no receipt could be written for the snapshot that laptop takes" in caplog.text
    assert str(store.paths.downloads) in caplog.text
    assert store.real.list_downloads() == []


def test_snapshot_is_given_back_even_if_the_record_fails(store: Store) -> None:
    def fail(download: Download) -> None:
        if download.outcome != "begun":
            raise ZeroDivisionError

    given = mock.Mock(size=4, first=0, last=None)
    given.__iter__ = lambda _: iter([b"1234"])
    outgoing = OutgoingSnapshot(given, taken_by=None, record=fail)
    list(outgoing)
    with pytest.raises(ZeroDivisionError):
        outgoing.close()
    given.close.assert_called_once_with()


# The file


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path / "tasks.db")


def numbered(number: int) -> Download:
    return replace(ONE, id=str(number))


def test_newest_is_first_and_each_is_as_its_last_line_says(paths: StorePaths) -> None:
    assert read_downloads(paths) == []
    for number in (1, 2):
        record_download(paths, numbered(number))
    ended = replace(ONE, outcome="whole", sent=4096, sha256="ab" * 32, seconds=0.5)
    record_download(paths, ended)
    assert read_downloads(paths) == [numbered(2), ended]


@pytest.mark.parametrize("torn", [b'{"id": "1", "at": "2026-', b"\xff\xfe", b"[1]", b"null", b"7"])
def test_line_that_a_crash_cut_off_harms_no_other(torn: bytes, paths: StorePaths) -> None:
    record_download(paths, numbered(1))
    with paths.downloads.open("ab") as end:
        end.write(torn)
    record_download(paths, numbered(2))
    assert read_downloads(paths) == [numbered(2), numbered(1)]


def test_line_of_a_later_release_is_read_as_far_as_it_is_known(paths: StorePaths) -> None:
    record_download(paths, ONE)
    line = json.loads(paths.downloads.read_text())
    paths.downloads.write_text(json.dumps(line | {"weather": "fine"}))
    assert read_downloads(paths) == [ONE]


def test_full_disk_takes_no_half_line(paths: StorePaths, caplog: pytest.LogCaptureFixture) -> None:
    record_download(paths, ONE)
    before = paths.downloads.read_bytes()
    write_all = files.write_all

    def half(descriptor: int, content: bytes) -> None:
        write_all(descriptor, content[: len(content) // 2])
        refuse_with(28)("write_all")

    with mock.patch.object(files, "write_all", half), caplog.at_level(logging.WARNING):
        record_download(paths, numbered(2))
    assert "No space" in caplog.text
    assert paths.downloads.read_bytes() == before


def test_no_step_that_fails_reaches_the_download(
    paths: StorePaths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(downloads, "MOST_BYTES", 300)
    for at in range(1, 20):
        record_download(paths, ONE)
        with counted(Steps(refuse_with(5), at=at)) as steps, caplog.at_level(logging.WARNING):
            record_download(paths, numbered(2))
        if not steps.failed:
            break
    assert at > 2
    assert caplog.text.count("no receipt could be written") == at - 1


def test_space_is_bounded_and_the_newest_stay(
    paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MOST_BYTES", 3_000)
    for number in range(100):
        record_download(paths, numbered(number))
    assert {path.name for path in paths.folder.iterdir()} == {
        "tasks.db.download-receipts.jsonl",
        "tasks.db.download-receipts.jsonl.1",
    }
    assert all(path.stat().st_size <= 3_000 for path in paths.folder.iterdir())
    known = [int(each.id) for each in read_downloads(paths)]
    assert known == list(range(99, 99 - len(known), -1))
    assert len(known) > 10


def _record_many(paths: StorePaths, first: int) -> None:
    downloads.MOST_BYTES = 20_000
    for number in range(first, 200, 4):
        record_download(paths, numbered(number))


def test_several_processes_record_at_once_without_torn_lines(paths: StorePaths) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_record_many, args=(paths, first)) for first in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = [
        line
        for path in (paths.earlier_downloads, paths.downloads)
        for line in path.read_bytes().splitlines()
    ]
    assert all(downloads._parse(line) is not None for line in lines)
    assert len(read_downloads(paths)) == len(lines) > 60


# Where from


@pytest.mark.parametrize(
    ("remote", "forwarded", "said"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9", "127.0.0.1 (X-Forwarded-For: 203.0.113.9)"),
        ("", "203.0.113.9", "(X-Forwarded-For: 203.0.113.9)"),  # a proxy on a Unix socket
        ("", None, None),
        ("::1", "a\x1b[2Jb" + "x" * 999, "::1 (X-Forwarded-For: a?[2Jb" + "x" * 194 + ")"),
    ],
)
def test_address_is_the_other_end_and_what_it_claims(
    remote: str, forwarded: str | None, said: str | None
) -> None:
    request = APIRequestFactory().get("/", REMOTE_ADDR=remote)
    if forwarded:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    assert caller.address(Request(request)) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ", laptop, 203.0.113.9, 4.1 kB of compact, under way, or its process was killed"),
        (
            {"outcome": "whole", "sent": 4096, "sha256": "ab"},
            ", laptop, 203.0.113.9, 4.1 kB of compact, whole, SHA-256 ab",
        ),
        (
            {"outcome": "broken off", "sent": 1000, "first": 2000, "by": None, "address": None},
            ", this process, this machine, 4.1 kB of compact from byte 2,000 on,"
            " broken off after 1,000 bytes",
        ),
    ],
)
def test_each_download_is_a_line_for_a_person(changes: dict[str, object], said: str) -> None:
    taken = vars(replace(ONE, **changes)) | {"at": "2026-11-23T02:45:38.123456Z"}  # type: ignore[arg-type]
    assert wording.downloads([taken, taken]) == "\n".join([f"2026-11-23T02:45:38Z{said}"] * 2)


# Whole sites


@pytest.mark.proof
def test_downloads_are_told_after_a_restore_has_replaced_the_audit_log(
    site: Site, tmp_path: Path
) -> None:
    older = snapshot_of(site, tmp_path / "older.db", "older")
    add_tasks(site.database, "live")
    assert site.manage("restore_db", "--downloads").err.startswith("No download is recorded on")
    with site.serving() as server:
        stolen = server.api("GET", "backup", headers={"X-Forwarded-For": "203.0.113.9"}).content
        server.api("GET", "backup?compact=0", stream=True).close()
        assert server.api("POST", "restore?apply=now", files={"file": older.read_bytes()}).ok
        told = server.api("GET", "restores").json()["downloads"]
        remote = site.manage(
            "restore_db", "--downloads", "--url", server.url, TASKDOG_API_KEY=site.key
        )
    by_address = [each for each in told if "203.0.113.9" in (each["address"] or "")]
    (download,) = by_address
    assert (download["by"], download["outcome"]) == ("tester", "whole")
    assert download["address"] == "127.0.0.1 (X-Forwarded-For: 203.0.113.9)"
    assert download["sha256"] == hashlib.sha256(stolen).hexdigest()
    assert site.manage("backup", "-o", str(tmp_path / "b.db")).code == 0
    local = site.manage("restore_db", "--downloads")
    assert local.code == remote.code == 0, local.err + remote.err
    first, *others = local.out.splitlines()
    assert "(manage.py), this machine" in first
    assert "whole, SHA-256" in first
    assert others == remote.out.splitlines()
    with closing(sqlite3.connect(site.database)) as connection:
        (rows,) = connection.execute(
            "SELECT count(*) FROM audit_logs WHERE operation = 'backup'"
        ).fetchone()
    assert rows == 1, "of the backup after the restore"


@pytest.mark.proof
def test_download_of_a_server_that_is_killed_is_recorded_as_begun(site: Site) -> None:
    add_tasks(site.database, "live")
    with closing(sqlite3.connect(site.database)) as connection, connection:
        connection.execute("CREATE TABLE ballast AS SELECT zeroblob(30000000) AS zeros")
    with site.serving() as server:
        answer = server.api("GET", "backup?compact=0", stream=True)
        next(answer.iter_content(1_000_000))
        server.kill()
        answer.close()
    assert "under way, or its process was killed" in site.manage("restore_db", "--downloads").out
