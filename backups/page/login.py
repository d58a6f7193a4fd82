"""
Where a stranger logs in, and what somebody reads there whose session a restore has ended.

The pages have no login of their own: it would pass by what the project's own asks for, such as a
second factor or a limit on tries. Why a session has ended is said there if it is the admin's login,
which shows Django's messages; else on a page of ours before it, since another login may not.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from django.conf import global_settings, settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import resolve_url
from django.urls import (
    NoReverseMatch,
    Resolver404,
    ResolverMatch,
    get_script_prefix,
    resolve,
    reverse,
)
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from rest_framework.request import Request

from backups import services
from backups.exceptions import BackupError

SEEN = "backups_seen"  # a signed cookie: its holder was logged in to these pages
LONGEST = timedelta(days=1)  # after that nobody wonders any more why a login has ended


def login_url() -> str | None:
    """LOGIN_URL, if the project has a page there; else the admin's login; None without either."""
    try:
        url = resolve_url(settings.LOGIN_URL)
    except NoReverseMatch:
        url = ""
    if _is_elsewhere(url) or _is_served(url):
        return url
    try:
        return reverse("admin:login")
    except NoReverseMatch:
        return None


def _is_elsewhere(url: str) -> bool:
    """Whether another server has it, or another program of this one: nobody here can know more."""
    if urlsplit(url).netloc:
        return True
    is_below = url.startswith(get_script_prefix())
    return url.startswith("/") and not is_below and url != global_settings.LOGIN_URL


def _is_served(url: str) -> bool:
    """Whether the project has a view there."""
    match = _match(url)
    if match is None or url != global_settings.LOGIN_URL:
        return match is not None
    # Nobody has chosen this one. A view of any path, such as that of a CMS, is no login.
    captured = match.captured_kwargs  # type: ignore[attr-defined]  # which the stubs do not know
    return not (match.args or captured)


def _match(url: str) -> ResolverMatch | None:
    path, prefix = unquote(urlsplit(url).path), get_script_prefix()
    try:
        return resolve(f"/{path.removeprefix(prefix)}") if path.startswith(prefix) else None
    except Resolver404:
        return None


def url_for(request: Request) -> str | None:
    """The login, which leads back to the page that was asked for."""
    url = login_url()
    if url is None:
        return None
    page = page_of(request)
    parts = urlsplit(url)
    if parts.netloc:  # a path would mean nothing there
        page = request.build_absolute_uri(page)
    query = QueryDict(parts.query, mutable=True)
    query[REDIRECT_FIELD_NAME] = page
    return parts._replace(query=query.urlencode(safe="/")).geturl()


def can_be_led_to(request: Request, url: str) -> bool:
    """
    Whether a browser goes on to the login by itself. The policy of the pages lets no form lead to
    another host (form-action), not even by a redirect: there it does nothing at all.
    """
    is_form = request.method not in ("GET", "HEAD") and "HX-Request" not in request.headers
    return not (is_form and urlsplit(url).netloc)


def page_of(request: Request) -> str:
    """The whole page that a request is for: a script asks for parts, a form for a change."""
    start = reverse("backups_page:overview")
    shown = _shown(request)
    if shown.startswith(start) and url_has_allowed_host_and_scheme(shown, allowed_hosts=None):
        return shown
    return request.get_full_path() if request.method == "GET" else start


def _shown(request: Request) -> str:
    """The path of the page that the script which asks is in, as it says; empty if it is none."""
    try:
        parts = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:
        return ""
    return parts._replace(scheme="", netloc="", fragment="").geturl()


def ended_by_restore(request: Request) -> str:
    """
    Why the caller is logged in no longer, if a restore has ended their session; else empty. Only
    somebody who was logged in before it is told that there was one.
    """
    seen = _seen(request._request)
    if seen is None or not _was_restored(since=seen):
        return ""
    return gettext(
        "A restore has replaced the database, and with it all logins. Log in again, with a name and"
        " a password from the restored data."
    )


def _was_restored(*, since: datetime) -> bool:
    try:
        receipts = services.list_receipts()
    except BackupError:  # the login must work whatever the database is
        return False
    return any(each.outcome == "applied" and each.at >= since for each in receipts)


def tell(request: HttpRequest, url: str, sentence: str) -> bool:
    """
    Let the login page say this. Returns whether it will: that of Django's admin shows messages;
    that of a project may, or may not.
    """
    match = _match(url)
    if match is None or "admin" not in match.app_names or not hasattr(request, "_messages"):
        return False
    from django.contrib import messages  # not every project has it

    messages.warning(request, sentence)
    return True


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
