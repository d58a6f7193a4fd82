"""The errors for answers that are not a success: the site refused, or a proxy answered."""

from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from backups.client.server_words import code_in, hint_in, shown
from backups.exceptions import (
    ClientError,
    OutcomeUnknownError,
    ServerRefusedError,
    ServerUnreachableError,
    codes,
)

WRONG_PLACE = "Give the URL, with its path, at which that site includes backups.urls."
MOST_REASON = 200  # characters of the server's reason phrase


def refusal(response: requests.Response, answer: dict[str, Any]) -> ServerRefusedError | None:
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
    message = f"{response.url} refused: {words}"
    return ServerRefusedError(message, status=response.status_code, hint=hint, code=code)


def not_the_site(response: requests.Response, method: str, ask_first: str) -> ClientError:
    """
    The error for an answer that is not from the site. A GET can simply be repeated.

    :param ask_first: the hint after any other request, which may have changed something.
    """
    status = _status(response)
    said = f"{response.url} answered {status}"
    if method == "GET" and 400 <= response.status_code < 500:
        message = f"{response.url} refused: {status}."
        return ServerRefusedError(message, status=response.status_code, hint=WRONG_PLACE)
    if method == "GET":
        return ServerUnreachableError(
            f"{said}, but the answer is not from a server with this API.",
            hint="Check the URL and its path, the proxy in front of the site, and the site.",
        )
    return OutcomeUnknownError(
        f"The outcome is not known: {said}, and the answer is not from the site."
        " A proxy may have given up while the site goes on.",
        hint=ask_first,
    )


def answer_of_another(what: str) -> ClientError:
    """The error for an answer of the site in a form that this release does not know."""
    return ClientError(
        f"{what} has an answer in a form that this release does not know.",
        hint="Check which release that server runs.",
    )


def _status(response: requests.Response) -> str:
    """``503 Service Unavailable``: the words are the server's choice."""
    return f"{response.status_code} {shown(response.reason or '', MOST_REASON)}".rstrip()


def _other_place(url: str, location: str) -> str:
    """What to do about a redirect: it leads to another server, or to a login page."""
    try:
        is_here = urlsplit(urljoin(url, location))[:2] == urlsplit(url)[:2]
    except ValueError:  # not a URL at all
        is_here = False
    advice = "exempt this URL from the login requirement" if is_here else "use that server's URL"
    return f"It redirects to {shown(location)}: {advice}."


def innermost(error: BaseException) -> str:
    """The innermost words of a nested network error."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return shown(getattr(error, "strerror", None) or str(error))
