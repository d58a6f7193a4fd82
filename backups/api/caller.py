"""
The caller: a request comes from the old content, and its answer may leave from a new one.

After an apply without a restart, the request still holds the session and the user that were read
before. What middleware does with them after the view must not turn an applied restore into an
error, and must not write rows of the old content into the new one.
"""

import logging

from django.contrib.auth import get_user_model
from rest_framework.request import Request

MOST_LETTERS = 200  # of what a client says of its address

logger = logging.getLogger(__name__)


def account(request: Request) -> str | None:
    """The name of who calls, if that is a row of the user model and not e.g. an API key."""
    user = request.user
    is_row = getattr(user, "pk", None) is not None and isinstance(user, get_user_model())
    return user.get_username() if is_row else None


def address(request: Request) -> str | None:
    """
    Where a request came from, for records: its other end, which may be a proxy, and what that, or
    the client itself, says in ``X-Forwarded-For``. None if neither is known.
    """
    end = str(request.META.get("REMOTE_ADDR") or "")
    claimed = _clean(request.headers.get("X-Forwarded-For", ""))
    return " ".join(filter(None, (end, claimed and f"(X-Forwarded-For: {claimed})"))) or None


def _clean(text: str) -> str:
    """What a client sends, short and on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MOST_LETTERS])


def renew(request: Request) -> None:
    """
    Give the request the user and the session as they are in the content that is live now.

    Where they are not in it, the user is nobody and the session is new and empty: Django then
    deletes its cookie. A session that is kept elsewhere (a signed cookie, a file) lives on.
    Never raises.
    """
    for renew_one in (_renew_user, _renew_session):
        try:
            renew_one(request)
        except Exception:  # whatever the site's own models do: the restore is applied
            logger.exception(
                "a restore was applied; the user and session of its request could not be renewed"
            )


def _renew_user(request: Request) -> None:
    """A middleware may save the user, e.g. to note when it was last seen."""
    name = account(request)
    if name is None:
        return
    from django.contrib.auth.models import AnonymousUser  # a project may be without that app

    users = get_user_model()._default_manager.filter(
        pk=str(request.user.pk), **{get_user_model().USERNAME_FIELD: name}
    )
    request.user = users.first() or AnonymousUser()


def _renew_session(request: Request) -> None:
    """Only saving tells whether a session is still there: each engine has its own store."""
    session = getattr(request._request, "session", None)
    if session is None or not session.accessed:
        return  # one that nobody has read will be read from the new content
    try:
        if not session.is_empty():
            session.save()
    except Exception as error:  # an UpdateError of Django's own engines; others have their own
        logger.info("the session of this request is not in the new content: %s", error)
        request._request.session = type(session)()
        session.delete()  # from a cache in front of its table, which would go on serving it
