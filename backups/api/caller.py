"""
Who calls: the account, the address, and both renewed after a restore without a restart.

After such a restore, the request still holds the session and the user of the old content. What
middleware does with them after the view must not turn an applied restore into an error, and must
not write rows of the old content into the new one.
"""

import logging

from django.contrib.auth import get_user_model
from rest_framework.request import Request

MOST_LETTERS = 200  # of what a client says of its address

logger = logging.getLogger(__name__)


def account(request: Request) -> str | None:
    """The caller's user name, if it is a row of the user model and not e.g. an API key."""
    user = request.user
    is_row = getattr(user, "pk", None) is not None and isinstance(user, get_user_model())
    return user.get_username() if is_row else None


def address(request: Request) -> str | None:
    """
    Where a request came from, for records: the other end of the connection, which may be a proxy,
    and what it or the client says in ``X-Forwarded-For``. None if neither is known.
    """
    end = str(request.META.get("REMOTE_ADDR") or "")
    claimed = request.headers.get("X-Forwarded-For", "")[:MOST_LETTERS]
    shown = "".join(letter if letter.isprintable() else "?" for letter in claimed)
    return " ".join(filter(None, (end, shown and f"(X-Forwarded-For: {shown})"))) or None


def renew(request: Request) -> None:
    """
    Give the request its user and its session from the content that is live now.

    A user who is not there becomes anonymous. A session that is not there becomes new and empty, so
    Django deletes its cookie. One that is not in the database (a signed cookie, a file) stays.
    Never raises.
    """
    for renew_one in (_renew_user, _renew_session):
        try:
            renew_one(request)
        except Exception:  # whatever the site's own models raise: the restore is applied
            logger.exception(
                "a restore was applied; the user and session of its request could not be renewed"
            )


def _renew_user(request: Request) -> None:
    """Middleware may save the user, e.g. to note when it was last seen."""
    name = account(request)
    if name is None:
        return
    from django.contrib.auth.models import AnonymousUser  # a project may be without that app

    users = get_user_model()._default_manager.filter(
        pk=str(request.user.pk), **{get_user_model().USERNAME_FIELD: name}
    )
    request.user = users.first() or AnonymousUser()


def _renew_session(request: Request) -> None:
    """Only saving shows whether a session still exists: each engine has its own store."""
    session = getattr(request._request, "session", None)
    if session is None or not session.accessed:
        return  # it will be read from the new content
    try:
        if not session.is_empty():
            session.save()
    except Exception as error:  # an UpdateError of Django's own engines; others have their own
        logger.info("the session of this request is not in the new content: %s", error)
        request._request.session = type(session)()
        session.delete()  # from a cache in front of its table, which would keep serving it
