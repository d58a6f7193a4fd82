"""What the tests of the notices want: a site, somebody who listens, and a mail server."""

from collections.abc import Iterator
from email.message import Message
from typing import Any

import django
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from pytest_django import Settings

from tests.backups.notices.listener import Listener, listening

BACKEND = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture(autouse=True)
def _nobody_listens(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the developer's shell, and no channel but those of the test."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    settings.BACKUPS_WEBHOOK = settings.BACKUPS_PING_URL = ""
    settings.BACKUPS_NOTIFY_MAIL = []


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as running:
        yield running


@pytest.fixture
def webhook(listener: Listener, settings: Settings) -> Listener:
    """A webhook that is set."""
    settings.BACKUPS_WEBHOOK = f"{listener.url}/hook/t0ken"
    return listener


class AnyPort(Controller):
    """A mail server on a free port."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class Mails(MessageHandler):
    """Keeps every mail."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


def use_mail_server(settings: Settings, port: int) -> None:
    """Let the site send its mail to this port."""
    if django.VERSION >= (6, 1):
        options = {"host": "127.0.0.1", "port": port}
        settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
    else:
        settings.EMAIL_BACKEND = BACKEND
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port


@pytest.fixture
def mails(settings: Settings) -> Iterator[list[Message]]:
    """What a real mail server on loopback has taken; it is set, and so is who wants mail."""
    handler = Mails()
    controller = AnyPort(handler, hostname="127.0.0.1", port=0)
    controller.start()
    use_mail_server(settings, controller.port)
    settings.BACKUPS_NOTIFY_MAIL = ["ops@example.org"]
    settings.SERVER_EMAIL = "site@example.org"
    try:
        yield handler.mails
    finally:
        controller.stop()
