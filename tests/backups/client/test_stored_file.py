"""The download of a stored file, from servers that fail in each way in which one can."""

import base64
import fcntl
import hashlib
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.client import BackupClient
from backups.disk import files
from backups.exceptions import (
    ClientError,
    DestinationError,
    ServerRefusedError,
    TransferInterruptedError,
)
from tests.backups import waiting
from tests.backups.wire import Request, StandIn, standing_in

CONTENT = random.Random(14).randbytes(3_000_000)
CHANGED = CONTENT[::-1]
ID = "20261126-030000"
NAME = f"site-backup-{ID}.db.zst"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def described(content: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
    """What the server says of a stored snapshot."""
    return {"id": ID, "name": NAME, "size": len(content), "sha256": sha256(content)} | changes


Step = Callable[[Request, int], None]  # answers a download; the number of bytes that are there


class Server:
    """Answers as an archive does; each download by the next step, and the last one for ever."""

    def __init__(self, *steps: Step, stored: dict[str, Any] | None = None) -> None:
        self.steps, self.stored = list(steps), stored or described()
        self.begun_at: list[int] = []  # where each download began

    def __call__(self, request: Request) -> None:
        if not request.path.endswith("/download"):
            return request.reply(
                200, {"Content-Type": "application/json"}, json.dumps(self.stored).encode()
            )
        given = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", "bytes=0-"))
        assert given is not None
        first = int(given[1])
        self.begun_at.append(first)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return step(request, first)


def sending(
    content: bytes = CONTENT,
    *,
    most: int | None = None,
    digest_of: bytes | None = None,
    with_etag: bool = True,
) -> Step:
    """
    Sends the content, or the rest of it if the client asks for that of this very content.

    :param most: bytes, after which the connection ends.
    """

    def step(request: Request, first: int) -> None:
        etag = f'"{sha256(content)}"'
        is_part = first > 0 and request.headers.get("If-Range") == etag
        start = first if is_part else 0
        digest = hashlib.sha256(content if digest_of is None else digest_of).digest()
        headers = {"Content-Length": str(len(content) - start)}
        if with_etag:
            headers |= {
                "ETag": etag,
                "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
            }
        if is_part:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:] if most is None else content[start : start + most]
        request.reply(206 if is_part else 200, headers, body)

    return step


def refusing(status: int) -> Step:
    return lambda request, _: request.reply(status, {"Content-Length": "0"})


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Instead of waiting, they are written down."""
    return waiting.without_pauses(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder / NAME


def download(server: StandIn, path: Path, **options: Any) -> None:
    with BackupClient(server.url, "key") as client:
        client.download_backup("latest", path, **options)


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def part_of(path: Path, content: bytes = CONTENT) -> Path:
    return path.with_name(f"{path.name}.{sha256(content)[:16]}.part")


def test_download_is_saved_whole_and_private(path: Path) -> None:
    with standing_in(Server(sending())) as server:
        download(server, path)
    assert path.read_bytes() == CONTENT
    assert names(path) == [NAME]
    assert path.stat().st_mode & 0o777 == 0o600


def test_download_that_breaks_off_is_continued_where_it_stopped(
    path: Path, pauses: list[float]
) -> None:
    archive = Server(sending(most=1_000_000), sending(most=1), refusing(503), sending())
    steps: list[int] = []
    with standing_in(archive) as server:
        download(server, path, progress=steps.append)
    assert path.read_bytes() == CONTENT
    assert names(path) == [NAME]
    assert archive.begun_at == [0, 1_000_000, 1_000_001, 1_000_001]
    assert sum(steps) == len(CONTENT)
    assert pauses == [0, 0, 1]


def test_file_that_the_server_changes_meanwhile_is_begun_anew(
    path: Path, pauses: list[float]
) -> None:
    archive = Server(sending(most=1_000_000), sending(CHANGED))
    steps: list[int] = []
    with standing_in(archive) as server:
        download(server, path, progress=steps.append)
    assert path.read_bytes() == CHANGED
    assert names(path) == [NAME]
    assert sum(steps) == len(CHANGED)


def test_file_that_the_server_changes_each_time_is_given_up(
    path: Path, pauses: list[float]
) -> None:
    contents = [CONTENT, CHANGED] * 4
    archive = Server(*(sending(each, most=1000) for each in contents))
    with standing_in(archive) as server, pytest.raises(ClientError, match="another file each time"):
        download(server, path)
    assert not path.exists()


def test_server_without_ranges_is_asked_for_the_whole_again(
    path: Path, pauses: list[float]
) -> None:
    stored = described(sha256=None)
    archive = Server(sending(most=1000, with_etag=False), sending(with_etag=False), stored=stored)
    with standing_in(archive) as server:
        download(server, path)
    assert path.read_bytes() == CONTENT
    assert archive.begun_at == [0, 0]


def test_wrong_digest_leaves_no_file_and_no_part(path: Path) -> None:
    archive = Server(sending(digest_of=CHANGED))
    with (
        standing_in(archive) as server,
        pytest.raises(TransferInterruptedError, match=f"arrived of {NAME} is not what was sent"),
    ):
        download(server, path)
    assert names(path) == []


def test_wrong_part_of_an_earlier_run_leaves_no_file_and_no_part(path: Path) -> None:
    part_of(path).write_bytes(bytes(1000))
    archive = Server(sending())
    with standing_in(archive) as server:
        with pytest.raises(TransferInterruptedError):
            download(server, path)
        assert names(path) == []
        download(server, path)
    assert archive.begun_at == [1000, 0]
    assert path.read_bytes() == CONTENT


def test_server_that_stays_away_is_given_up_after_growing_pauses_and_the_part_stays(
    path: Path, pauses: list[float]
) -> None:
    archive = Server(sending(most=1_000_000), refusing(502))
    with standing_in(archive) as server:
        with pytest.raises(TransferInterruptedError, match="after 1,000,000 of 3,000,000") as error:
            download(server, path)
        assert pauses == [0, 1, 3, 7, 15]
        assert names(path) == [part_of(path).name]
        assert str(part_of(path)) in error.value.hint
        assert part_of(path).stat().st_mode & 0o777 == 0o600
        archive.steps[:] = [sending()]
        download(server, path)
    assert archive.begun_at[-1] == 1_000_000
    assert path.read_bytes() == CONTENT
    assert names(path) == [NAME]


def test_part_that_an_earlier_run_has_whole_needs_no_request(path: Path) -> None:
    part_of(path).write_bytes(CONTENT)
    archive = Server(sending())
    with standing_in(archive) as server:
        download(server, path)
    assert archive.begun_at == []
    assert path.read_bytes() == CONTENT
    assert names(path) == [NAME]


def test_part_that_is_too_long_is_begun_anew(path: Path) -> None:
    part_of(path).write_bytes(CONTENT + b"more")
    archive = Server(sending())
    with standing_in(archive) as server:
        download(server, path)
    assert archive.begun_at == [0]
    assert path.read_bytes() == CONTENT


def test_server_that_says_no_is_not_asked_again(path: Path, pauses: list[float]) -> None:
    archive = Server(sending(most=1000), refusing(403))
    with standing_in(archive) as server, pytest.raises(ServerRefusedError):
        download(server, path)
    assert (pauses, names(path)) == ([0], [part_of(path).name])


def test_more_than_was_announced_is_not_taken(path: Path) -> None:
    def step(request: Request, first: int) -> None:
        request.send_response_only(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(b"b\r\nhello world\r\n0\r\n\r\n")

    with standing_in(Server(step)) as server, pytest.raises(ClientError, match="more than the 10"):
        download(server, path)
    assert not path.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../.bashrc"},
        {"name": ".ssh"},
        {"name": f"{NAME}/x"},
        {"name": "other-backup-20200101-000000.db.zst"},
        {"id": "../x"},
        {"sha256": "/" * 64},
        {"size": "1"},
    ],
)
def test_name_that_no_stored_file_has_is_not_taken(changes: dict[str, Any], path: Path) -> None:
    archive = Server(sending(), stored=described(**changes))
    with standing_in(archive) as server, pytest.raises(ClientError):
        download(server, path)
    assert names(path) == []
    assert archive.begun_at == []


def test_file_that_is_there_stays_unless_it_may_be_replaced(path: Path) -> None:
    path.write_bytes(b"mine")
    archive = Server(sending())
    with standing_in(archive) as server:
        with pytest.raises(DestinationError, match="already exists"):
            download(server, path)
        assert path.read_bytes() == b"mine"
        assert archive.begun_at == []
        download(server, path, overwrite=True)
    assert path.read_bytes() == CONTENT


def test_part_that_leads_elsewhere_is_not_written(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    part_of(path).symlink_to(target)
    with standing_in(Server(sending())) as server, pytest.raises(DestinationError):
        download(server, path)
    assert target.read_bytes() == b"mine"


def test_part_with_two_names_is_not_written(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    os.link(target, part_of(path))
    with standing_in(Server(sending())) as server:
        download(server, path)
    assert target.read_bytes() == b"mine"
    assert path.read_bytes() == CONTENT


def test_part_that_another_process_writes_is_left_alone(path: Path) -> None:
    with part_of(path).open("wb") as other, standing_in(Server(sending())) as server:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DestinationError, match="Another process is writing"):
            download(server, path)
    assert names(path) == [part_of(path).name]


def test_disk_that_is_too_full_is_told_before_anything_arrives(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "has_room", lambda folder, size: size < len(CONTENT))
    with (
        standing_in(Server(sending())) as server,
        pytest.raises(DestinationError, match="3,000,000 bytes are to come"),
    ):
        download(server, path)
    assert names(path) == []
