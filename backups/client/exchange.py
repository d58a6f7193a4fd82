"""One request to a remote server, and its answer or an error."""

import shlex
from collections.abc import Callable
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from backups.client.body import read_answer
from backups.client.refusals import innermost, not_the_site, refusal
from backups.client.server import RemoteServer
from backups.client.server_words import as_cause
from backups.exceptions import BackupError, ServerUnreachableError, TransferInterruptedError

NEVER_SENT = (requests.ConnectTimeout, requests.exceptions.InvalidURL)


class Exchange:
    """The session with one server. Redirects are not followed: they would carry the key along."""

    def __init__(
        self, server: RemoteServer, session: requests.Session, timeout: tuple[float, float]
    ) -> None:
        """``timeout``: seconds to connect, and the longest silence after that."""
        self._server = server
        self._session = session
        self._timeout = timeout

    def json(
        self, method: str, name: str, is_ours: Callable[[dict[str, Any]], bool], **arguments: Any
    ) -> dict[str, Any]:
        """``is_ours`` tells an answer of this API from another, which may come from a proxy."""
        response, answer = self.request(method, name, **arguments)
        if not is_ours(answer):
            raise not_the_site(response, method, self.ask_first(name))
        return answer

    def request(
        self,
        method: str,
        name: str,
        *,
        is_read: bool = True,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> tuple[requests.Response, dict[str, Any]]:
        """The response and the answer in its body, which is left unread unless ``is_read``."""
        url = f"{self._server.api_url}/{name}"
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
            is_good = response.status_code in (200, 201, 202, 206)
            if is_good and not is_read:
                return response, {}
            with response:
                answer = _answer(response)
        except (OSError, HTTPError) as error:  # every error of requests is an OSError
            if method == "GET" or isinstance(error, NEVER_SENT):
                no_answer = f"{url} did not answer: {innermost(error)}."
                raise ServerUnreachableError(no_answer) from as_cause(error)
            what = "upload" if "data" in arguments else "request"
            raise TransferInterruptedError(
                f"The {what} to {url} broke off: {innermost(error)}.", hint=self.ask_first(name)
            ) from as_cause(error)
        if not is_good:
            raise refusal(response, answer) or not_the_site(response, method, self.ask_first(name))
        return response, answer

    def ask_first(self, name: str) -> str:
        """The hint where nobody knows what a request for this endpoint has done."""
        server, url = self._server, shlex.quote(self._server.url)
        options = "" if server.is_encrypted or server.is_here else " --insecure"
        command = "restore_db --status" if "restore" in name else "backups list"
        return f"Ask before you try again: manage.py {command} --url {url}{options}"

    def close(self) -> None:
        """Drop the connections."""
        self._session.close()


def _answer(response: requests.Response) -> dict[str, Any]:
    try:
        return read_answer(response)
    except BackupError:  # in a coding that was not asked for, or damaged
        return {}
