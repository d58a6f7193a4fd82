"""A download that breaks off: our client goes on with the same snapshot, and with no other."""

import base64
import hashlib
from pathlib import Path

import pytest

from backups.client import BackupClient
from backups.client.download import TRIES
from backups.exceptions import TransferInterruptedError
from tests.backups import waiting
from tests.backups.wire import Request, StandIn, as_database, standing_in

DATABASE = as_database(bytes(range(256)) * 12288)  # 3 MiB: our client takes 1 MiB at a time
HALF = len(DATABASE) // 2
ETAG = '"' + "a" * 32 + '"'
WHOLE = {"Content-Length": str(len(DATABASE)), "Accept-Ranges": "bytes", "ETag": ETAG}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds."""
    return waiting.without_pauses(monkeypatch)


class Breaking:
    """A server whose first answer ends in the middle; then it does what the test says."""

    def __init__(self, status: int = 206, *, etag: str = ETAG, digest_of: bytes = DATABASE) -> None:
        self.status, self.etag, self.digest_of = status, etag, digest_of
        self.cut = HALF  # where the first answer ends
        self.refusals: list[int] = []  # statuses that come first

    def __call__(self, request: Request) -> None:
        given = request.headers.get("Range")
        if given is None:
            request.reply(200, WHOLE, DATABASE[: self.cut])
        elif self.refusals:
            request.reply(self.refusals.pop(), {"Content-Length": "2"}, b"{}")
        else:
            first = int(given.removeprefix("bytes=").removesuffix("-"))
            digest = base64.b64encode(hashlib.sha256(self.digest_of).digest()).decode()
            headers = {
                "Content-Length": str(len(DATABASE) - first),
                "Content-Range": f"bytes {first}-{len(DATABASE) - 1}/{len(DATABASE)}",
                "Accept-Ranges": "bytes",
                "ETag": self.etag,
                "Repr-Digest": f"sha-256=:{digest}:",
            }
            request.reply(self.status, headers, DATABASE[first:])


def download(server: StandIn, folder: Path) -> bytes:
    with BackupClient(server.url, "key") as client:
        client.download(folder / "saved.db")
    return (folder / "saved.db").read_bytes()


def test_rest_of_the_same_snapshot_is_fetched(tmp_path: Path, without_pauses: list[float]) -> None:
    with standing_in(Breaking()) as server:
        assert download(server, tmp_path) == DATABASE
        (_, _, first), (_, _, second) = server.asked
    assert "Range" not in first
    assert second["If-Match"] == ETAG
    assert second["Range"] == f"bytes={HALF}-"
    assert without_pauses == [0]


def test_download_that_breaks_off_at_once_goes_on(tmp_path: Path) -> None:
    answer = Breaking()
    answer.cut = 5
    with standing_in(answer) as server:
        assert download(server, tmp_path) == DATABASE
    assert server.asked[1][2]["Range"] == "bytes=5-"


def test_server_that_is_busy_is_asked_again(tmp_path: Path, without_pauses: list[float]) -> None:
    answer = Breaking()
    answer.refusals = [502, 503]
    with standing_in(answer) as server:
        assert download(server, tmp_path) == DATABASE
    assert without_pauses == [0, 1, 3]


def test_server_that_stays_busy_is_given_up(tmp_path: Path) -> None:
    answer = Breaking()
    answer.refusals = [503] * 100
    with standing_in(answer) as server, pytest.raises(TransferInterruptedError, match="broke off"):
        download(server, tmp_path)
    assert len(server.asked) == 1 + TRIES
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "answer",
    [
        Breaking(status=412),
        Breaking(status=200),
        Breaking(etag='"another"'),
        Breaking(digest_of=b"something else"),
    ],
    ids=["gone", "whole", "another", "not what was sent"],
)
def test_nothing_else_is_joined_to_it(answer: Breaking, tmp_path: Path) -> None:
    if answer.status == 200:
        answer.etag = '"of a new one"'
    with standing_in(answer) as server, pytest.raises(TransferInterruptedError):
        download(server, tmp_path)
    assert len(server.asked) == 2
    assert not list(tmp_path.iterdir())
