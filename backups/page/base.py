"""What all pages share: a login, the API's permissions, a strict policy for scripts, errors."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import APIException, NotAuthenticated, PermissionDenied
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser, FormParser, MultiPartParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.authentication import caller_name
from backups.api.base import StoreView
from backups.api.errors import status_of
from backups.api.negotiation import IgnoreAccept, JSONRenderer
from backups.api.permissions import backup_permissions, restore_permissions
from backups.exceptions import BackupError
from backups.page import language, login, policy
from backups.page.site_title import site_title
from backups.site.closing import close_ended

BACK_UP, RESTORE = "back up", "restore"  # what a page is for
ENDED_SESSIONS = 2  # of one restore: one that is at work, and one that begins during the rename


class PageSession(SessionAuthentication):
    """The session of Django's own login. Any change needs a CSRF token, whoever asks for it."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """
        The user of the session; None for a stranger; nobody at all where the project has no logins.

        :raises PermissionDenied: no token.
        :raises NotAuthenticated: no token, of a stranger; it may have ended with their session.
        """
        if not hasattr(request._request, "user"):
            return None, None
        user: Any = request._request.user
        is_known = user is not None and user.is_active
        try:
            self.enforce_csrf(request)
        except PermissionDenied:
            if is_known:
                raise
            raise NotAuthenticated from None
        return (user, None) if is_known else None


class PageNegotiation(IgnoreAccept, DefaultContentNegotiation):
    """A page is sent whatever ``Accept`` says; a form is parsed by its own media type."""

    select_parser = DefaultContentNegotiation.select_parser


class PageView(StoreView):
    """
    A page, or an action of one, which ends with a redirect.

    Only a session counts, no API key. The permissions are those of the API. A stranger is sent to
    the login. An error of this app is shown as a page, with the status that the API answers.
    """

    schema = None  # no part of the API
    needs: tuple[str, ...] = (BACK_UP, RESTORE)  # any of them is enough
    back = "overview"  # where the page of an error leads back to
    parser_classes: tuple[type[BaseParser], ...] = (FormParser, MultiPartParser)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = PageNegotiation

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """
        As any view, but in one language: the reader's if the pages are translated to it. A page is
        read again if a restore has just ended its session: it may be the page that says so.
        """
        with language.of_pages():
            for _ in range(ENDED_SESSIONS if request.method == "GET" else 0):
                try:
                    return super().dispatch(request, *args, **kwargs)
                except DatabaseError:
                    if not close_ended():
                        raise
            return super().dispatch(request, *args, **kwargs)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The session alone: a browser sends no key."""
        return [PageSession()]

    def check_permissions(self, request: Request) -> None:
        """:raises NotAuthenticated, PermissionDenied: the caller may do nothing of this."""
        if request.user is None:  # a permission of the project's may rely on there being one
            raise NotAuthenticated
        self.may_back_up = self._may(backup_permissions())
        self.may_restore = self._may(restore_permissions())
        may = {BACK_UP: self.may_back_up, RESTORE: self.may_restore}
        if any(may[each] for each in self.needs):
            return
        if not getattr(request.user, "is_authenticated", False):
            raise NotAuthenticated
        raise PermissionDenied(
            gettext("You are logged in as %(name)s, who may not do this.")
            % {"name": caller_name(request)}
        )

    def _may(self, permissions: Iterable[BasePermission]) -> bool:
        try:
            return all(each.has_permission(self.request, self) for each in permissions)
        except APIException:  # a permission that says so itself
            return False

    def page(
        self,
        template: str,
        words: Mapping[str, Any] | None = None,
        *,
        status: int = 200,
    ) -> HttpResponse:
        """
        The page of a template in ``backups/page/``.

        :param words: what it shows, besides what all pages know.
        """
        nonce = secrets.token_urlsafe(16)
        known = {
            "csp_nonce": nonce,
            "may_back_up": getattr(self, "may_back_up", False),
            "may_restore": getattr(self, "may_restore", False),
            "site_title": site_title(),
            "page_user": self.request.user,
            "back": self.back,
        }
        context = {**known, **(words or {})}
        response = render(self.request._request, f"backups/page/{template}", context, status=status)
        response["Content-Security-Policy"] = policy.of(nonce)
        response["Referrer-Policy"] = "same-origin"
        if getattr(self.request.user, "is_authenticated", False):
            login.remember_seen(response)
        return response

    def go_to(self, name: str, *arguments: str) -> HttpResponse:
        """Send the browser to another page, after a form: a reload repeats nothing."""
        return self.go_to_url(reverse(f"backups_page:{name}", args=arguments))

    def go_to_url(self, url: str) -> HttpResponse:
        """
        Send the browser to a URL of this site.

        A script follows a redirect unseen and gets the page that it leads to, so it is told where
        to go instead (https://htmx.org/headers/hx-redirect/).
        """
        if "HX-Request" in self.request.headers:
            response = HttpResponse(status=204)
            response["HX-Redirect"] = url
            return response
        redirect = HttpResponseRedirect(url)
        redirect.status_code = 303
        return redirect

    def _log_in(self) -> HttpResponseBase:
        """Send a stranger to the login, and say why if a restore has ended their session."""
        has_logins = self.request.user is not None
        url = login.url_for(self.request) if has_logins else None
        reason = login.ended_by_restore(self.request) if has_logins else ""
        if (
            url is not None
            and login.can_be_led_to(self.request, url)
            and (not reason or login.tell(self.request._request, url, reason))
        ):
            answer: HttpResponseBase = self.go_to_url(url)
        elif "HX-Request" in self.request.headers:  # only a part of a page was asked for
            return self.go_to_url(login.page_of(self.request))
        else:
            words = {"reason": reason, "login_url": url, "has_logins": has_logins}
            answer = self.page("login.html", words, status=200 if url else 403)
        login.forget_seen(answer)
        return answer

    def handle_exception(self, exc: Exception) -> Response:
        """A page that says what went wrong, and what to do."""
        answer: HttpResponseBase
        if isinstance(exc, NotAuthenticated):
            answer = self._log_in()
        elif isinstance(exc, BackupError):
            super().handle_exception(exc)  # which logs it if the server is at fault
            answer = self.page("error.html", {"error": exc}, status=status_of(exc))
        elif isinstance(exc, APIException):
            words = {
                "error": {"message": str(exc.detail), "hint": ""},
                "login_url": login.url_for(self.request) if exc.status_code == 403 else None,
            }
            answer = self.page("error.html", words, status=exc.status_code)
        else:
            return super().handle_exception(exc)
        return answer  # type: ignore[return-value]  # DRF takes any response of Django's too
