"""How the site sends mail, from the one variable TASKDOG_SMTP_URL."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from taskdog import environment

NAME = "TASKDOG_SMTP_URL"
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


@dataclass(frozen=True)
class MailServer:
    """What Django's EMAIL_ settings say."""

    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    starts_tls: bool = False  # after the greeting
    is_tls: bool = False  # from the first byte


def mail_server() -> MailServer:
    """
    Read ``smtp+tls://user:password@mail.example.org:587``.

    ``smtp`` is without TLS, ``smtp+tls`` with STARTTLS, ``smtps`` with TLS from the beginning.

    :raises ImproperlyConfigured: it is no such URL. The message does not quote it.
    """
    given = environment.text(NAME)
    if not given:
        return MailServer()
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in PORTS or not host:
        raise ImproperlyConfigured(
            f"{NAME} is not a URL of a mail server; set one such as"
            " smtp+tls://user:password@mail.example.org:587, smtps://… or smtp://…."
        )
    return MailServer(
        host,
        port or PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        starts_tls=parts.scheme == "smtp+tls",
        is_tls=parts.scheme == "smtps",
    )
