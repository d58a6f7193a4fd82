"""Django's own handler behind the limits, and a client that is the test."""

import asyncio
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import Settings

from backups.api import asgi_limits
from backups.api.asgi_limits import warn_unless_limited
from backups.asgi import FORM_BYTES, Message, Receive, Send, limit_requests

STALL_SECONDS = 0.2


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    settings.BACKUPS_STALL_SECONDS = STALL_SECONDS
    settings.BACKUPS_MIN_BYTES_PER_SECOND = 1000
    settings.BACKUPS_MAX_BODY_BYTES = 100
    settings.BACKUPS_MAX_UPLOAD_BYTES = 1000


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Receives the body, and answers with how the request ended."""
    while (message := await receive()).get("more_body"):
        pass
    await send({"type": message["type"]})


def ask(
    method: str, path: str, headers: dict[bytes, bytes], *, body: bytes = b"", drips: int = 0
) -> list[Any]:
    """What is sent to a client that sends its body whole, or in drips and then nothing."""
    sent: list[Any] = []

    async def run() -> None:
        left = drips

        async def receive() -> Message:
            nonlocal left
            if not drips:
                return {"type": "http.request", "body": body, "more_body": False}
            if not left:
                await asyncio.Event().wait()
            left -= 1
            await asyncio.sleep(STALL_SECONDS / 4)  # to be slow is what is tried here
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Message = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": list(headers.items()),
        }
        await limit_requests(echo)(scope, receive, send)

    asyncio.run(run())
    return sent


@pytest.mark.parametrize(
    ("method", "name", "length", "status"),
    [
        ("POST", "restore", 1000 + FORM_BYTES + 1, 413),
        ("DELETE", "restore", 101, 413),
        ("POST", "undo", 101, 413),
        ("GET", "backup", 101, 413),
    ],
)
def test_long_body_is_refused_before_it_is_received(
    method: str, name: str, length: int, status: int
) -> None:
    answer = ask(method, reverse(f"backups:{name}"), {b"content-length": str(length).encode()})
    assert answer[0]["status"] == status
    assert b"The body has more than" in answer[1]["body"]


def test_body_in_chunks_is_refused() -> None:
    answer = ask("POST", reverse("backups:undo"), {b"transfer-encoding": b"chunked"})
    assert answer[0]["status"] == 411


@pytest.mark.parametrize(
    ("path", "length"),
    [("/elsewhere", 10**9), ("/api/v1/restore", 1000), ("/api/v1/restores", 100)],
)
def test_other_bodies_pass(path: str, length: int) -> None:
    headers = {b"content-length": str(length).encode()}
    assert ask("POST", path, headers, body=b"all") == [{"type": "http.request"}]


@pytest.mark.parametrize("drips", [1, 1000], ids=["stops", "trickles"])
def test_client_that_sends_too_slowly_is_given_up(
    drips: int, caplog: pytest.LogCaptureFixture
) -> None:
    start, body, seen = ask("POST", "/elsewhere", {}, drips=drips)
    assert (start["status"], seen) == (408, {"type": "http.disconnect"})
    assert b"The body came too slowly" in body["body"]
    (record,) = caplog.records
    assert "a client was dropped: less than 1000 bytes a second" in record.getMessage()


def test_what_is_no_request_passes() -> None:
    seen: list[str] = []

    async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def run() -> None:
        await limit_requests(lifespan)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    asyncio.run(run())
    assert seen == ["lifespan"]


def test_request_that_did_not_come_through_the_limits_is_told_in_the_log_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asgi_limits._warn.cache_clear()
    seen: list[Message] = []

    async def look(scope: Message, receive: Receive, send: Send) -> None:
        seen.append(scope)

    asyncio.run(limit_requests(look)({"type": "http", "path": "/", "headers": []}, None, None))  # type: ignore[arg-type]
    for scope in (*seen, {"type": "http"}, {"type": "http"}):
        warn_unless_limited(scope)
    (message,) = caplog.messages
    assert "limit_requests" in message
    asgi_limits._warn.cache_clear()
