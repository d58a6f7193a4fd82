"""
The client of a remote server, over ``requests``. It needs no Django, so any script can use it:

    from backups.client import BackupClient

    with BackupClient("https://tasks.example.org", api_key) as client:
        client.download(Path("taskdog.db"))

It streams both ways: memory does not grow with the database. Every error is a ``ClientError``
whose message names the URL. Redirects are not followed, since the key would go with them.
"""

import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

try:
    import requests
    from urllib3.exceptions import HTTPError
except ModuleNotFoundError as missing:
    raise ImportError(
        f"backups.client needs {missing.name}, which is not installed. Install it:"
        ' python -m pip install "django-restorable[cli]"'
    ) from missing

from backups.client.body import read_answer
from backups.client.download import RemoteSnapshot
from backups.client.server import KEY_HEADER, authorize, open_session, remote_server
from backups.client.server_words import as_cause, code_in, hint_in, shown
from backups.client.upload import Progress, RequestBody
from backups.disk import atomic_file
from backups.exceptions import (
    BackupError,
    ClientError,
    OutcomeUnknownError,
    ServerRefusedError,
    ServerUnreachableError,
    SnapshotTooLargeError,
    TransferInterruptedError,
    codes,
)

__all__ = ["BackupClient"]

CONNECT_SECONDS = 10.0
READ_SECONDS = 600.0  # the longest silence: the server copies or checks a whole database
WRONG_PLACE = "Give the URL, with its path, at which that site includes backups.urls."
CODINGS = "zstd, gzip"
MOST_REASON = 200  # characters of the server's reason phrase


class BackupClient:
    """Takes and puts back snapshots of one server."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        header: str = KEY_HEADER,
        insecure: bool = False,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """
        Sends nothing yet.

        :param base_url: such as ``https://tasks.example.org``, to which ``/api/v1`` is added; or,
            with a path, where ``backups.urls`` is: ``https://example.org/some/prefix``.
        :param header: carries the key: ``X-Api-Key``, ``Authorization: Token`` …; for
            ``Authorization: Basic``, the key is ``name:password``.
        :param insecure: allow sending the key in plain http to another machine, although anybody
            on the way can read it.
        :raises InsecureServerError: the key would be sent in plain http without ``insecure``.
        :raises ClientError: the URL, the header or the key can't be used in a request.
        """
        server = remote_server(base_url)
        self.base_url, self._api_url = server.url, server.api_url
        self._timeout = (connect_seconds, read_seconds)
        self._options = "" if server.is_encrypted or server.is_here else " --insecure"
        self._session = open_session(server)
        self._session.headers["Accept-Encoding"] = "identity"
        authorize(self._session, server, header, api_key, insecure=insecure)

    def create_snapshot(
        self, *, compact: bool | None = None, compress: bool = False
    ) -> RemoteSnapshot:
        """
        Ask the server for a snapshot. The caller must close it.

        :param compact: True for one without gaps, False for the database's own pages; None to
            leave it to the server. ``method`` of the result says which it was.
        :param compress: let the server compress it for a slow line; it is unpacked on arrival.
        :raises ClientError: the server could not be used, or does not say how long its answer is.
        """

        def ask(more: dict[str, str]) -> requests.Response:
            response, _ = self._request(
                "GET",
                "backup",
                is_read=False,
                params={} if compact is None else {"compact": str(int(compact))},
                headers=({"Accept-Encoding": CODINGS} if compress else {}) | more,
            )
            return response

        snapshot = RemoteSnapshot(ask({}), ask_again=ask)
        if snapshot.size is None and not snapshot.is_chunked:
            snapshot.close()
            raise ClientError(f"{snapshot.url} does not say how long its answer is.")
        return snapshot

    def download(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        compact: bool | None = None,
        compress: bool = False,
    ) -> None:
        """
        Save a snapshot as a file, which appears only when it is whole.

        ``compact`` and ``compress`` are as in ``create_snapshot``.

        :raises DestinationError: it exists and ``overwrite`` is false, or can't be written.
        :raises ClientError: the server could not be used; no file is left behind.
        """
        with self.create_snapshot(compact=compact, compress=compress) as snapshot:
            chunks = atomic_file.within_room(snapshot, path.parent, snapshot.size)
            atomic_file.save(chunks, path, overwrite=overwrite)

    def stage_restore(
        self,
        snapshot: BinaryIO,
        *,
        now: bool = False,
        accept: Iterable[str] = (),
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """
        Upload an open file; the server checks and stages it. Its restart applies it.

        It first asks the server for its limit, so that a wrong key or a file that is too large is
        reported before the bytes are sent.

        :param now: let the server apply it at once, without a restart.
        :param accept: problems that the server should accept: ``"defects"``, ``"foreign"``.
        :param progress: called with the number of bytes of each step.
        :returns: the server's answer: status, size, sha256, migrations …
        :raises ServerRefusedError: the server refused it and said why; nothing was staged. With
            ``now`` and the status 409 or 507, it is staged but can't be applied at once.
        :raises TransferInterruptedError: the connection ended; ask for the status.
        :raises OutcomeUnknownError: a proxy answered instead of the server; ask for the status.
        """
        snapshot.seek(0)
        size = os.fstat(snapshot.fileno()).st_size
        limit = self.get_restore_status().get("max_upload_bytes")
        if isinstance(limit, int) and size > limit:
            raise ServerRefusedError(
                f"{self.base_url} takes snapshots up to {limit:,} bytes; this one has {size:,}.",
                status=413,
                hint=SnapshotTooLargeError.hint,
                code=SnapshotTooLargeError.code,
            )
        answer = self._json(
            "POST",
            "restore",
            _has_status("pending", "applied"),
            params=_apply(now) | _accept(accept),
            data=RequestBody(snapshot, size, progress),
            headers={"Content-Type": "application/vnd.sqlite3"},
        )
        return self._as_asked(answer, now)

    def undo_restore(self, *, now: bool = False) -> dict[str, Any]:
        """
        Let the server stage what its last restore replaced. Its restart applies it.

        :param now: let the server apply it at once, without a restart.
        :raises ServerRefusedError: the server refused it and said why.
        :raises TransferInterruptedError: the connection ended; ask for the status.
        :raises OutcomeUnknownError: a proxy answered instead of the server; ask for the status.
        """
        is_done = _has_status("pending", "applied")
        answer = self._json("POST", "restore/undo", is_done, params=_apply(now))
        return self._as_asked(answer, now)

    def list_restores(self) -> dict[str, Any]:
        """The receipts of restores, newest first, as ``restores``; the kept copies as ``kept``."""
        return self._json("GET", "restores", _has_lists)

    def get_restore_status(self) -> dict[str, Any]:
        """What is pending on the server, and what its last restore did."""
        return self._json("GET", "restore", _has_status("pending", "nothing"))

    def discard_pending_restore(self) -> dict[str, Any]:
        """Let the server discard its pending restore."""
        return self._json("DELETE", "restore", _has_status("discarded"))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> "BackupClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _as_asked(self, answer: dict[str, Any], now: bool) -> dict[str, Any]:
        """An older server ignores ``now`` and only stages."""
        if now and answer.get("status") != "applied":
            raise ClientError(
                f"{self.base_url} is too old to apply a restore without a restart.",
                hint="It is staged, and stays pending: restart that server, or discard it.",
            )
        return answer

    def _json(
        self, method: str, name: str, is_ours: Callable[[dict[str, Any]], bool], **arguments: Any
    ) -> dict[str, Any]:
        """``is_ours`` tells an answer of this API from another, which may come from a proxy."""
        response, answer = self._request(method, name, **arguments)
        if not is_ours(answer):
            raise self._not_the_site(response, method)
        return answer

    def _request(
        self,
        method: str,
        name: str,
        *,
        is_read: bool = True,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> tuple[requests.Response, dict[str, Any]]:
        """The response and the answer in its body, which is left unread unless ``is_read``."""
        url = f"{self._api_url}/{name}"
        try:
            response = self._session.request(
                method,
                url,
                timeout=self._timeout,
                allow_redirects=False,
                headers={"Accept": "application/json"} | (headers or {}),
                stream=True,  # so that the size of a body can be limited
                **arguments,
            )
            is_good = response.status_code in (200, 206)
            if is_good and not is_read:
                return response, {}
            with response:
                answer = _answer(response)
        except (requests.ConnectTimeout, requests.exceptions.InvalidURL) as error:
            raise ServerUnreachableError(f"{url} did not answer: {_cause(error)}.") from as_cause(
                error
            )
        except (OSError, HTTPError) as error:  # every error of requests is an OSError
            if method != "GET":
                what = "upload" if "data" in arguments else "request"
                raise TransferInterruptedError(
                    f"The {what} to {url} broke off: {_cause(error)}.",
                    hint=self._ask_first(),
                ) from as_cause(error)
            raise ServerUnreachableError(f"{url} did not answer: {_cause(error)}.") from as_cause(
                error
            )
        if not is_good:
            raise _refused(response, answer) or self._not_the_site(response, method)
        return response, answer

    def _not_the_site(self, response: requests.Response, method: str) -> ClientError:
        """The error for an answer that is not from the site. A GET can simply be repeated."""
        status = _status(response)
        said = f"{response.url} answered {status}"
        if method == "GET" and 400 <= response.status_code < 500:
            return ServerRefusedError(
                f"{response.url} refused: {status}.",
                status=response.status_code,
                hint=WRONG_PLACE,
            )
        if method == "GET":
            return ServerUnreachableError(
                f"{said}, but the answer is not from a server with this API.",
                hint="Check the URL and its path, the proxy in front of the site, and the site.",
            )
        return OutcomeUnknownError(
            f"The outcome is not known: {said}, and the answer is not from the site."
            " A proxy may have given up while the site goes on.",
            hint=self._ask_first(),
        )

    def _ask_first(self) -> str:
        url = shlex.quote(self.base_url)
        return f"Ask before you try again: manage.py restore_db --status --url {url}{self._options}"


def _apply(now: bool) -> dict[str, str]:
    return {"apply": "now"} if now else {}


def _has_status(*known: str) -> Callable[[dict[str, Any]], bool]:
    return lambda answer: answer.get("status") in known


def _has_lists(answer: dict[str, Any]) -> bool:
    return all(isinstance(answer.get(name), list) for name in ("restores", "kept"))


def _refused(response: requests.Response, answer: dict[str, Any]) -> ServerRefusedError | None:
    """
    The refusal in an answer that is not a success.

    Only the site itself can refuse: its answer is JSON with ``detail``, and for a status of 500 or
    more, with a ``code`` of this app. None for anything else, which may come from a proxy that gave
    up while the site continues.
    """
    detail, code, hint = answer.get("detail"), code_in(answer), hint_in(answer)
    if isinstance(detail, str) and (response.status_code < 500 or code in codes()):
        words = detail
        if response.status_code == 404 and not code:  # a site answers this for any unknown URL
            hint = WRONG_PLACE
    elif 300 <= response.status_code < 400:
        words = f"{_status(response)}."
        hint = _other_place(response.url, response.headers.get("Location", ""))
    elif response.status_code == requests.codes.request_entity_too_large:
        words = "a proxy in front of the site says that the upload is too large (413)."
        hint = "Nothing was staged. Raise the proxy's own limit (nginx: client_max_body_size)."
    else:
        return None
    return ServerRefusedError(
        f"{response.url} refused: {words}",
        status=response.status_code,
        hint=hint,
        code=code,
    )


def _accept(words: Iterable[str]) -> dict[str, str]:
    return {"accept": ",".join(sorted(words))} if words else {}


def _answer(response: requests.Response) -> dict[str, Any]:
    try:
        return read_answer(response)
    except BackupError:  # in a coding that was not asked for, or damaged
        return {}


def _status(response: requests.Response) -> str:
    """``503 Service Unavailable``: the words are the server's choice."""
    return f"{response.status_code} {shown(response.reason or '', MOST_REASON)}".rstrip()


def _other_place(url: str, location: str) -> str:
    """What to do about a redirect: it leads to another server, or to a login page."""
    try:
        is_here = urlsplit(urljoin(url, location))[:2] == urlsplit(url)[:2]
    except ValueError:  # not a URL at all
        is_here = False
    if not is_here:
        return f"It redirects to {shown(location)}: use that server's URL."
    return f"It redirects to {shown(location)}: exempt this URL from the login requirement."


def _cause(error: BaseException) -> str:
    """The innermost words of a nested network error."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return shown(getattr(error, "strerror", None) or str(error))
