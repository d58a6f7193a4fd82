"""How the site sends mail, from the one variable TASKDOG_SMTP_URL."""

from typing import Any
from urllib.parse import unquote, urlsplit

import django
from django.core.exceptions import ImproperlyConfigured

from taskdog import environment

NAME = "TASKDOG_SMTP_URL"
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
SECONDS = 10  # to wait for the mail server
BACKEND = "django.core.mail.backends.smtp.EmailBackend"
# What Django before 6.1 has for each option of that backend.
EARLIER = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
    "timeout": "EMAIL_TIMEOUT",
}


def mail_settings() -> dict[str, Any]:
    """
    Django's settings for ``smtp+tls://user:password@mail.example.org:587``; none without it.

    ``smtp`` is without TLS, ``smtp+tls`` with STARTTLS, ``smtps`` with TLS from the beginning.

    :raises ImproperlyConfigured: it is no such URL. The message does not quote it.
    """
    given = environment.text(NAME)
    if not given:
        return {}
    options = _options(given)
    if django.VERSION >= (6, 1):
        return {"MAILERS": {"default": {"BACKEND": BACKEND, "OPTIONS": options}}}
    return {EARLIER[name]: value for name, value in options.items()}


def _options(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _unfit() from None
    if parts.scheme not in PORTS or not host:
        raise _unfit()
    return {
        "host": host,
        "port": port or PORTS[parts.scheme],
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_tls": parts.scheme == "smtp+tls",
        "use_ssl": parts.scheme == "smtps",
        "timeout": SECONDS,
    }


def _unfit() -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{NAME} is not a URL of a mail server; set one such as"
        " smtp+tls://user:password@mail.example.org:587, smtps://… or smtp://…."
    )
