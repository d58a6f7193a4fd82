"""
Where a remote server's API is, and what a request to it carries to say who asks.

A URL without a path is that of a whole site: its API is at ``/api/v1``. A URL with a path is the
place where that project includes ``backups.urls``.
"""

import base64
import logging
import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_environ_proxies

from backups.client.key_header import header_parts
from backups.client.server_words import shown
from backups.exceptions import ClientError, InsecureServerError

KEY_HEADER = "X-Api-Key"
DEFAULT_PATH = "/api/v1"


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server by its URL."""

    url: str  # as it was given, without a password
    api_url: str  # an endpoint is a name below it
    auth: AuthBase | None  # the name and password that were in the URL
    is_encrypted: bool  # https
    is_here: bool  # this machine itself, by its loopback address

    def proxies(self) -> dict[str, str]:
        """
        Those that the environment names for it (HTTPS_PROXY, NO_PROXY …).

        To this machine itself none leads that is on another: the key would go there, and back.
        """
        named = get_environ_proxies(self.api_url)
        return {
            scheme: proxy
            for scheme, proxy in named.items()
            if not self.is_here or is_this_machine(_host(proxy))
        }


def remote_server(url: str) -> RemoteServer:
    """
    Take a URL apart. Asks nobody.

    :raises ClientError: it is not the URL of a server.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # e.g. half of an IPv6 address, or port 99999
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
    return RemoteServer(
        shown,
        api_url,
        _password(parts.username, parts.password),
        is_encrypted=parts.scheme == "https",
        is_here=is_this_machine(host),
    )


def is_this_machine(host: str | None) -> bool:
    """Whether a host is a loopback address, or ``localhost``. Asks nobody, and knows no others."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host or "")
    except ValueError:
        return False
    mapped: IPv4Address | None = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _host(proxy: str) -> str | None:
    try:
        return urlsplit(proxy if "//" in proxy else f"//{proxy}").hostname
    except ValueError:
        return None


def open_session(server: RemoteServer) -> requests.Session:
    """
    A session that sends what it is told to, and no password that it finds in ``~/.netrc``.

    From the environment it takes the proxies and the file of certificates (REQUESTS_CA_BUNDLE).
    """
    logging.getLogger("urllib3.connection").addFilter(_in_one_line)
    session = _Session()
    session.trust_env = False
    session.proxies = dict(server.proxies())
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    session.verify = bundle or True
    return session


class _Session(requests.Session):
    """
    Requests looks where a redirect leads, and reads its whole body, even if told not to go. And it
    sends more than one request on a connection.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """
        On a connection of its own: uWSGI, for one, closes after each answer and does not say so,
        which would end the next request on it.
        """
        self.close()
        return super().send(request, **kwargs)


def _in_one_line(record: logging.LogRecord) -> bool:
    """urllib3 quotes headers that it can't read, however long they are, with a traceback."""
    record.msg, record.args, record.exc_info = shown(record.getMessage()), (), None
    return True


def authorize(
    session: requests.Session, server: RemoteServer, header: str, key: str, *, insecure: bool
) -> None:
    """
    Let every request of the session carry the key, and what was in the URL.

    :param header: ``X-Api-Key``, or with a scheme ``Authorization: Token``; of
        ``Authorization: Basic`` the key is ``name:password``.
    :param key: empty if the name and password in the URL are all that the server wants.
    :param insecure: whether they may be sent in plain http to another machine.
    :raises InsecureServerError: they would be, and may not.
    :raises ClientError: it is not a header, or the key can't be in one.
    """
    if not (server.is_encrypted or server.is_here or insecure) and (key or server.auth):
        raise InsecureServerError(
            f"{server.url} is plain http: anybody on the way to it could read the key and use"
            " it. Nothing was sent."
        )
    session.auth = server.auth
    if not key:
        return
    name, value = _header(header, key)
    if name == "Authorization" and server.auth is not None:
        raise ClientError(
            "The password in the URL can't be used together with a key in Authorization.",
            hint="Leave one of them out.",
        )
    session.headers[name] = value


def _header(header: str, key: str) -> tuple[str, str]:
    if (parts := header_parts(header)) is None:
        raise ClientError(  # not what it is: somebody may have put the key there
            "The header for the key is not the name of one, with or without a scheme.",
            hint="Give one such as 'X-Api-Key' or 'Authorization: Token' (BACKUPS_REMOTE_HEADER).",
        )
    name, scheme = parts
    if name.lower() == "authorization":
        name = "Authorization"
    if scheme.lower() == "basic":
        key = base64.b64encode(key.encode()).decode()
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise ClientError("The API key has characters that a key can't have.")
    return name, f"{scheme} {key}".strip()


def _password(name: str | None, password: str | None) -> AuthBase | None:
    if name is None:
        return None
    return HTTPBasicAuth(unquote(name).encode(), unquote(password or "").encode())
