"""How obstore reaches an object store: the address, the timeouts, and the errors in words."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from backups.exceptions import MissingPackageError, StorageError

SCHEMES = ("s3", "gs", "az")
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CONNECT_SECONDS = 5
TRIES = 3
NO_KEYS = "169.254.169.254"  # obstore asks a cloud's machine there, if it was given no keys
# Why there is no answer, by a word in obstore's account of it.
CAUSES = {
    "dns error": "its name can't be resolved",
    "ConnectionRefused": "nothing listens there",
    "InvalidContentType": "it does not speak TLS (https)",
    "HostUnreachable": "no network leads to it",
    "NetworkUnreachable": "no network leads to it",
    "kind: Timeout": "it did not answer in time",
    "TimedOut": "it did not answer in time",
}
# Why its certificate is not accepted, by a word in rustls's account of it.
CERTIFICATE_CAUSES = {
    "UnknownIssuer": "nobody that this machine trusts has signed it",
    "CaUsedAsEndEntity": "it is self-signed",
    "NotValidForName": "it is for another name",
    "NotValidYet": "it is not valid yet",
    "Expired": "it has expired",
}

_used_in: int | None = None  # the process that has begun to use obstore


def load() -> Any:
    """The package. :raises MissingPackageError: the extra ``s3`` is not installed."""
    try:
        import obstore
        import obstore.store  # not imported by the line above
    except ImportError as error:
        raise MissingPackageError(
            "Backups in S3, Google Cloud Storage or Azure need the package obstore.",
            hint="Install it: pip install 'django-restorable[s3]'",
        ) from error
    return obstore


def connect(
    url: str, endpoint: str, config: dict[str, Any], *, allow_http: bool, timeout: float
) -> tuple[Any, str]:
    """
    The store, and where it is, for messages. Asks the server nothing yet.

    :raises StorageError: the URL or the endpoint can't be used.
    :raises MissingPackageError: the extra ``s3`` is not installed.
    """
    obstore = load()
    scheme, bucket, prefix = urlsplit(url)[:3]
    if scheme not in SCHEMES or not bucket or "@" in bucket:
        raise StorageError(
            "The url of STORAGES['backups'] should be like s3://bucket/prefix.",
            hint=f"Begin it with one of: {', '.join(SCHEMES)}. Keys do not belong in it.",
        )
    where = f"{scheme}://{bucket}{prefix}".rstrip("/")
    if scheme == "s3":
        config = {"disable_bulk_delete": True, **config}  # not every server has it
        endpoint = endpoint or next(filter(None, map(os.getenv, ENDPOINTS)), None) or ""
        if endpoint:
            allow_http = _may_be_http(endpoint, allow_http)
            config["endpoint"] = endpoint
            where += f" at {endpoint}"
    # A try that was silent for the whole timeout is not repeated.
    retries = {"max_retries": TRIES - 1, "retry_timeout": timedelta(seconds=timeout / 2)}
    try:
        store = obstore.store.from_url(
            url,
            config=config,
            client_options=_client_options(timeout) | {"allow_http": allow_http},
            retry_config=retries,
        )
    except (obstore.exceptions.BaseError, ValueError, TypeError) as error:
        raise StorageError(f"STORAGES['backups'] can't be used: {explain(error)}.") from error
    return store, where


def check_process() -> None:
    """
    Refuse to use obstore in a process that was forked from one that has used it: it would hang.

    :raises StorageError: this is such a process.
    """
    global _used_in
    if _used_in is None:
        _used_in = os.getpid()
    elif _used_in != os.getpid():
        raise StorageError(
            "This process was forked from one that had used the storage, so it can't use it.",
            hint="Use the storage only after the fork, or start a new process.",
        )


def explain(error: Exception) -> str:
    """What went wrong, in a line, without the request and without obstore's insides."""
    text = str(error)
    if NO_KEYS in text:
        return "there are no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if code := re.search(r"<Code>([^<]+)</Code>", text):
        message = re.search(r"<Message>([^<]+)</Message>", text)
        words = f"{message[1].rstrip('.')} " if message else ""
        return f"the server refused it: {words}({code[1]})"
    if status := re.search(r"status code: (\d+ [\w ]+)", text):
        return f"the server answered {status[1].strip()}"
    if "error sending request" in text:
        account = text.partition("Debug source:")[2]
        return ": ".join(["the server does not answer", *_causes(account)])
    return text.partition("\n")[0].removeprefix("Generic S3 error: ").rstrip(".")


def _causes(account: str) -> Iterator[str]:
    """Why there is no answer, from the general to the particular; nothing if that is not known."""
    if "ConnectFailed" in account:
        yield "the proxy on the way (HTTPS_PROXY) can't be reached"
    if certificate := re.search(r"InvalidCertificate\(\s*(\w+).*", account, re.DOTALL):
        yield "its certificate is not accepted"
        yield _first(CERTIFICATE_CAUSES, certificate[0]) or certificate[1]
    elif cause := _first(CAUSES, account):
        yield cause


def _first(causes: dict[str, str], account: str) -> str | None:
    return next((words for sign, words in causes.items() if sign in account), None)


def _client_options(timeout: float) -> dict[str, Any]:
    return {
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=timeout),
        "timeout": timedelta(days=1),  # of a whole request: a large file takes long
    }


def _may_be_http(endpoint: str, is_allowed: bool) -> bool:
    """Whether this endpoint is plain http, and may be. :raises StorageError: it may not."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise StorageError(
            "The endpoint of the storage should be like https://s3.example.com.",
            hint="Set it in STORAGES['backups']. Keys do not belong in it: set"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if parts.scheme == "http" and not is_allowed and parts.hostname not in LOOPBACK:
        raise StorageError(
            f"{endpoint} is plain http: everybody on the way could read what is not encrypted,"
            " and change it.",
            hint="Use https. On a network that you trust, set the option allow_http in the OPTIONS"
            " of STORAGES['backups'].",
        )
    return parts.scheme == "http"
