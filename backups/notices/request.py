"""
Send one short HTTP request to a URL that is a secret, as the URLs of webhooks are.

No error and no log line shows more of the URL than its scheme and its host. No redirect is
followed: the other server may not be meant to know what is sent.
"""

import base64
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

import backups
from backups.exceptions import NoticeError

SECONDS = 10.0  # to connect, and between two bytes of the answer's head


def send(url: str, *, body: bytes | None = None, content_type: str = "text/plain") -> None:
    """
    Send a POST, or a GET if there is no body.

    :raises NoticeError: the URL can't be used, nobody answered, or the answer is not a success.
    """
    if problem := explain_unfit(url):
        raise NoticeError(f"The URL {problem}.")
    request = Request(_without_user(url), data=body, headers=_headers(url))  # noqa: S310  # checked
    if body is not None:
        request.add_header("Content-Type", f"{content_type}; charset=utf-8")
    try:
        with _opener().open(request, timeout=SECONDS) as answer:
            status, reason = answer.status, answer.reason
    except (OSError, HTTPException, ValueError) as error:
        raise NoticeError(f"{shown(url)} did not answer: {_words(error)}.") from None
    if 300 <= status < 400:
        raise NoticeError(
            f"{shown(url)} redirects to another URL ({status}), which is not followed.",
            hint="Set the URL that it redirects to.",
        )
    if not 200 <= status < 300:
        raise NoticeError(f"{shown(url)} answered {status} {reason}.")


def shown(url: str) -> str:
    """What may be shown of a URL: ``https://hooks.example.org``."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that can't be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def explain_unfit(url: str) -> str:
    """Why no request can go there: ``has no host``. Empty if one can."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "can't be read"
    if parts.scheme not in ("http", "https"):
        return "does not begin with https:// or http://"
    if not host:
        return "has no host"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "has a character that no URL may have"
    return ""


def _opener() -> OpenerDirector:
    """For http and https only, by the proxy that the environment names, if any."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def _headers(url: str) -> dict[str, str]:
    headers = {"User-Agent": f"django-restorable/{backups.__version__}"}
    parts = urlsplit(url)
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return headers


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return f"it took more than {SECONDS:.0f} seconds"
    if isinstance(reason, OSError):
        return (reason.strerror or str(reason)).rstrip(".")
    return type(reason).__name__  # its message may quote the URL
