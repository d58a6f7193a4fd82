"""
Where a remote server's API is, and how a request to it carries the key.

A URL without a path names a whole site: its API is at ``/api/v1``. A URL with a path names the
place where that project includes ``backups.urls``.
"""

import base64
import logging
import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_environ_proxies

from backups.client.key_header import header_parts
from backups.client.loopback import is_this_machine
from backups.client.server_words import shown
from backups.exceptions import ClientError, InsecureServerError

KEY_HEADER = "X-Api-Key"
DEFAULT_PATH = "/api/v1"


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """What is known of a server by its URL."""

    url: str  # as it was given, without a password
    api_url: str  # the endpoints are below it
    auth: AuthBase | None  # the name and password that were in the URL
    is_encrypted: bool  # https
    is_here: bool  # on this machine, by a loopback address

    def proxies(self) -> dict[str, str]:
        """
        The proxies that the environment names for this server (HTTPS_PROXY, NO_PROXY …).

        For a server on this machine, only proxies on this machine: the key must not leave it.
        """
        named = get_environ_proxies(self.api_url)
        return {
            scheme: proxy
            for scheme, proxy in named.items()
            if not self.is_here or is_this_machine(_host(proxy))
        }


def remote_server(url: str) -> RemoteServer:
    """
    Parse a URL. Sends nothing.

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


def _host(proxy: str) -> str | None:
    try:
        return urlsplit(proxy if "//" in proxy else f"//{proxy}").hostname
    except ValueError:
        return None


def open_session(server: RemoteServer) -> requests.Session:
    """
    A session that sends no password from ``~/.netrc``.

    It takes the proxies and the file of certificates (REQUESTS_CA_BUNDLE) from the environment.
    """
    logging.getLogger("urllib3.connection").addFilter(_in_one_line)
    session = _Session()
    session.trust_env = False
    session.headers["Accept-Encoding"] = "identity"
    session.proxies = dict(server.proxies())
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    session.verify = bundle or True
    return session


class _Session(requests.Session):
    """
    Even if it does not follow a redirect, requests looks at its target and reads its body. And it
    sends more than one request on a connection.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """
        Uses a new connection. A server such as uWSGI closes the old one after each answer without
        saying so, and the next request on it would fail.
        """
        self.close()
        return super().send(request, **kwargs)


def _in_one_line(record: logging.LogRecord) -> bool:
    """urllib3 logs headers that it can't read, at any length and with a traceback."""
    record.msg, record.args, record.exc_info = shown(record.getMessage()), (), None
    return True


def authorize(
    session: requests.Session, server: RemoteServer, header: str, key: str, *, insecure: bool
) -> None:
    """
    Let every request of the session carry the key, and the name and password in the URL.

    :param header: ``X-Api-Key``, or with a scheme ``Authorization: Token``; for
        ``Authorization: Basic``, the key is ``name:password``.
    :param key: empty if the name and password in the URL are all that the server needs.
    :param insecure: whether they may be sent in plain http to another machine.
    :raises InsecureServerError: they would be sent in plain http without ``insecure``.
    :raises ClientError: the header is not one, or the key can't be in a header.
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
        raise ClientError(  # don't quote it: somebody may have put the key there
            "The header for the key is not a header name, with or without a scheme.",
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
