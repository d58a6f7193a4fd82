"""
Where a stranger logs in, and what somebody reads there whose session a restore has ended.

The pages have no login of their own: it would pass by what the project's own asks for, such as a
second factor or a limit on tries. But why a session has ended is said on a page of ours before it:
not every project's login shows the messages of Django.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils.translation import gettext
from rest_framework.request import Request

from backups import services

SEEN = "backups_seen"  # a signed cookie: its holder was logged in to these pages
LONGEST = timedelta(days=1)  # after that nobody wonders any more why a login has ended


def login_url() -> str | None:
    """LOGIN_URL, if the project has a page there; else the admin's login; None without either."""
    try:
        url = resolve_url(settings.LOGIN_URL)
        resolve(url.partition("?")[0])
        return url
    except (NoReverseMatch, Resolver404):
        pass
    try:
        return reverse("admin:login")
    except NoReverseMatch:
        return None


def url_for(request: Request) -> str | None:
    """The login, which leads back to the page that was asked for."""
    url = login_url()
    if url is None:
        return None
    return redirect_to_login(page_of(request), url).url


def page_of(request: Request) -> str:
    """The whole page that a request is for: a script asks for parts, a form for a change."""
    shown = urlsplit(request.headers.get("HX-Current-URL", "")).path
    start = reverse("backups_page:overview")
    if shown.startswith(start):
        return shown
    return request.get_full_path() if request.method == "GET" else start


def ended_by_restore(request: Request) -> str:
    """
    Why the caller is logged in no longer, if a restore has ended their session; else empty. Only
    somebody who was logged in before it is told that there was one.
    """
    seen = _seen(request._request)
    if seen is None:
        return ""
    last = services.get_restore_status().last
    if last is None or last.outcome != "applied" or last.at < seen:
        return ""
    return gettext(
        "A restore has replaced the database, and with it all logins. Log in again, with an account"
        " of the restored data."
    )


def _seen(request: HttpRequest) -> datetime | None:
    try:
        words = request.get_signed_cookie(SEEN, max_age=LONGEST)
        return datetime.fromisoformat(words or "")
    except (KeyError, BadSignature, ValueError):
        return None


def forget_seen(response: HttpResponseBase) -> None:
    """Say it once."""
    response.delete_cookie(SEEN, path=reverse("backups_page:overview"))


def remember_seen(response: HttpResponseBase) -> None:
    """Note in a cookie that somebody was logged in just now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    response.set_signed_cookie(
        SEEN,
        now,
        max_age=LONGEST,
        path=reverse("backups_page:overview"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
