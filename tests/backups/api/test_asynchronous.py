"""Downloads under ASGI: Django's own handler, and a server that is the test."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.db import connections
from django.http import HttpRequest
from django.test import override_settings
from django.urls import path

from backups.api.asynchronous import PIECE_BYTES, AsynchronousBody
from backups.api.download import DownloadResponse
from tests.backups.site.test_outgoing_snapshot import Given

CHUNK = bytes(PIECE_BYTES + 7)
CHUNKS = 50
STALL_SECONDS = 0.2

Message = dict[str, Any]
Send = Callable[[Any], Coroutine[Any, Any, None]]


class Watched(Given):
    """A snapshot that counts what was taken from it, in which threads; it may fail in the end."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(*[CHUNK] * CHUNKS)
        self.taken, self.fails = 0, fails
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.taken += 1
            self.threads.add(threading.get_ident())
            yield chunk
        if self.fails:
            raise OSError("the disk is broken")


@pytest.fixture(autouse=True)
def _in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The store of the site says what a download is called."""
    name = str(tmp_path / "tasks.db")
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", name)


served: list[Watched] = []
codings: list[str | None] = []


def download(request: HttpRequest) -> DownloadResponse:
    """Answer with the snapshot that the test has put there."""
    return DownloadResponse(served[-1], codings[-1], environ=None)


urlpatterns = [path("download", download)]


def ask(snapshot: Watched, send: Send, *, coding: str | None = None, gone: bool = False) -> None:
    """Ask Django for the download; ``gone``: the client hangs up after its request."""
    served.append(snapshot)
    codings.append(coding)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/download",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "server": ("localhost", 80),
    }

    async def run() -> None:
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            if not gone:
                await asyncio.Event().wait()
            while not snapshot.taken:
                await asyncio.sleep(0)
            return {"type": "http.disconnect"}

        await get_asgi_application()(scope, receive, send)

    pace = {"BACKUPS_STALL_SECONDS": STALL_SECONDS, "BACKUPS_MIN_BYTES_PER_SECOND": 1_000_000}
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[], **pace):
        asyncio.run(run())


@pytest.mark.parametrize("coding", [None, "gzip"])
def test_download_is_sent_while_it_is_read(coding: str | None) -> None:
    snapshot, taken, sizes = Watched(), [], []

    async def send(message: Message) -> None:
        if message.get("body"):
            taken.append(snapshot.taken)
            sizes.append(len(message["body"]))

    ask(snapshot, send, coding=coding)
    assert taken[0] == 1, "the first byte does not wait for the last"
    assert taken[-1] == CHUNKS
    assert max(sizes) <= PIECE_BYTES
    assert coding or sum(sizes) == snapshot.size
    assert threading.get_ident() not in snapshot.threads, "the event loop reads no disk"
    assert snapshot.closed


def test_client_that_takes_nothing_is_dropped() -> None:
    snapshot = Watched()

    async def send(message: Message) -> None:
        if message.get("body"):
            await asyncio.Event().wait()

    ask(snapshot, send)
    assert (snapshot.taken, bool(snapshot.closed)) == (1, True)


def test_client_that_takes_too_little_is_dropped() -> None:
    """A piece in almost the time of a stall, each time."""
    snapshot = Watched()

    async def send(message: Message) -> None:
        if message.get("body"):
            await asyncio.sleep(STALL_SECONDS * 0.7)  # to be slow is what is tried here

    ask(snapshot, send)
    assert (snapshot.taken < CHUNKS, bool(snapshot.closed)) == (True, True)


def test_client_that_is_slow_is_served_to_the_end() -> None:
    snapshot, received = Watched(), 0

    async def send(message: Message) -> None:
        nonlocal received
        if message.get("body"):
            received += len(message["body"])
            if len(message["body"]) == PIECE_BYTES and received <= 3 * PIECE_BYTES:
                await asyncio.sleep(STALL_SECONDS * 0.5)  # to be slow is what is tried here

    ask(snapshot, send)
    assert received == snapshot.size


def test_snapshot_is_closed_when_the_client_hangs_up() -> None:
    snapshot = Watched()

    async def send(message: Message) -> None:
        if message.get("body"):
            await asyncio.Event().wait()

    ask(snapshot, send, gone=True)
    assert snapshot.taken < CHUNKS
    assert snapshot.closed


def test_snapshot_is_closed_when_its_rest_can_not_be_read() -> None:
    snapshot = Watched(fails=True)

    async def take() -> None:
        async for _ in AsynchronousBody(snapshot):
            pass

    with pytest.raises(OSError, match="the disk is broken"):
        asyncio.run(take())
    assert snapshot.closed
