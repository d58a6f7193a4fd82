"""
Limit request bodies under ASGI, where Django receives a whole body before any view runs.

    # asgi.py of the project
    application = limit_requests(get_asgi_application())

For this app's endpoints, a body that is too long is refused before it is received. On every URL, a
client that sends its body too slowly is dropped. Only the view, later, knows who may upload.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from django.urls import reverse

from backups.api.asgi_limits import LIMITED
from backups.api.pace import Pace
from backups.conf import conf

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

OTHERS = ("backup", "undo", "restores")  # the endpoints that take no upload
FORM_BYTES = 64 * 1024  # what a form adds to the file in it

logger = logging.getLogger(__name__)


def limit_requests(application: Application) -> Application:
    """The same application, with the limits of BACKUPS_MAX_BODY_BYTES and related settings."""

    async def limited(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
        elif (refused := _refused(scope)) is not None:
            await _answer(*refused, send)
        else:
            await application({**scope, LIMITED: True}, _paced(scope, receive, send), send)

    return limited


def _refused(scope: Message) -> tuple[HTTPStatus, str] | None:
    """The answer to give instead of the application's; None to let it answer."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if path == reverse("backups:restore"):
        is_upload = scope["method"] == "POST"
        most = conf.max_upload_bytes + FORM_BYTES if is_upload else conf.max_body_bytes
    elif path in {reverse(f"backups:{name}") for name in OTHERS}:
        most = conf.max_body_bytes
    else:
        return None
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return HTTPStatus.LENGTH_REQUIRED, "The request has a body, but no Content-Length."
    if int(headers.get(b"content-length", 0)) > most:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body has more than {most:,} bytes."
    return None


async def _answer(status: HTTPStatus, detail: str, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": detail}).encode()})


def _paced(scope: Message, receive: Receive, send: Send) -> Receive:
    """
    Limit each wait for more of the body. A client that is too slow gets an answer; to the
    application, it looks like a client that hung up.
    """
    pace = Pace(bytes_per_second=conf.min_bytes_per_second, stall_seconds=conf.stall_seconds)
    is_whole = False

    async def paced() -> Message:
        nonlocal is_whole
        if is_whole:  # only the end of the connection is still to come, at any time
            return await receive()
        pace.begin()
        try:
            message = await asyncio.wait_for(receive(), pace.seconds_for(0))
        except TimeoutError:
            logger.warning("%s was dropped: %s", (scope.get("client") or ["a client"])[0], pace)
            await _answer(HTTPStatus.REQUEST_TIMEOUT, f"The body came too slowly: {pace}.", send)
            return {"type": "http.disconnect"}
        pace.moved(len(message.get("body", b"")))
        is_whole = not message.get("more_body", False)
        return message

    return paced
