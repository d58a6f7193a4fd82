"""
Where a remote server's API is, and what a request to it carries to say who asks.

A URL without a path is that of a whole site: its API is at ``/api/v1``. A URL with a path is the
place where that project includes ``backups.urls``.
"""

import base64
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from backups.exceptions import ClientError

KEY_HEADER = "X-Api-Key"
DEFAULT_PATH = "/api/v1"
# RFC 9110, 5.6.2: what the name of a header and a scheme are made of.
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server by its URL."""

    url: str  # as it was given, without a password
    api_url: str  # an endpoint is a name below it
    auth: AuthBase | None  # the name and password that were in the URL


def remote_server(url: str) -> RemoteServer:
    """
    Take a URL apart. Asks nobody.

    :raises ClientError: it is not the URL of a server.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # e.g. half of an IPv6 address
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ClientError(
            f"{re.sub('//.*@', '//', url)!r} is not the URL of a server.",  # without a password
            hint="Give one such as https://tasks.example.org, or, with a path, the place where"
            " backups.urls is included, such as https://example.org/some/prefix.",
        )
    _, _, place = parts.netloc.rpartition("@")
    shown = parts._replace(netloc=place).geturl().rstrip("/")
    api_url = shown if parts.path.strip("/") else f"{shown}{DEFAULT_PATH}"
    return RemoteServer(shown, api_url, _password(parts.username, parts.password))


def authorize(session: requests.Session, server: RemoteServer, header: str, key: str) -> None:
    """
    Let every request of the session carry the key, and what was in the URL.

    :param header: ``X-Api-Key``, or with a scheme ``Authorization: Token``; of
        ``Authorization: Basic`` the key is ``name:password``.
    :param key: empty if the name and password in the URL are all that the server wants.
    :raises ClientError: it is not a header, or the key can't be in one.
    """
    session.auth = server.auth
    if not key:
        return
    name, value = _header(header, key)
    if name.lower() != "authorization":
        session.headers[name] = value
    elif server.auth is None:
        session.auth = _Authorization(value)
    else:
        raise ClientError(
            "The password in the URL can't be used together with a key in Authorization.",
            hint="Leave one of them out.",
        )


def header_parts(header: str) -> tuple[str, str] | None:
    """The name of a header, and the scheme or nothing; None if that is not what it is."""
    name, _, scheme = (part.strip() for part in header.partition(":"))
    return (name, scheme) if name and set(name + scheme) <= TOKEN else None


class _Authorization(AuthBase):
    """Not merely a header of the session: a password in ``~/.netrc`` would take its place."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def _header(header: str, key: str) -> tuple[str, str]:
    if (parts := header_parts(header)) is None:
        raise ClientError(  # not what it is: somebody may have put the key there
            "The header for the key is not the name of one, with or without a scheme.",
            hint="Give one such as 'X-Api-Key' or 'Authorization: Token' (BACKUPS_REMOTE_HEADER).",
        )
    name, scheme = parts
    if scheme.lower() == "basic":
        key = base64.b64encode(key.encode()).decode()
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise ClientError("The API key has characters that a key can't have.")
    return name, f"{scheme} {key}".strip()


def _password(name: str | None, password: str | None) -> AuthBase | None:
    if name is None:
        return None
    return HTTPBasicAuth(unquote(name).encode(), unquote(password or "").encode())
