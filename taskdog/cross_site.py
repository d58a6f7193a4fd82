"""
A page of another site must not change anything here through somebody's browser.

A session needs a token for that, and a key a header that no other site may send. With
TASKDOG_AUTH_ENABLED=0 there is neither: what counts is where the browser says that it comes from.
Programs that are no browser say nothing, and are let through.

Sources: https://www.w3.org/TR/fetch-metadata/; RFC 6454 (section 7, Origin)
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware

SAFE = ("GET", "HEAD", "OPTIONS")
HERE = ("same-origin", "none")  # none: typed, or from a bookmark


class CrossSiteMiddleware:
    """Answer 403 to a change that another site has asked for, whoever calls."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """As Django makes it, once."""
        self.get_response = get_response
        self._csrf: Any = CsrfViewMiddleware(lambda _: HttpResponse())

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Look at the headers only."""
        if request.method in SAFE or self._is_from_here(request):
            return self.get_response(request)
        return JsonResponse({"detail": "This request comes from another site."}, status=403)

    def _is_from_here(self, request: HttpRequest) -> bool:
        """A browser that says nothing of the site still names the origin of each change."""
        if "Origin" in request.headers and self._csrf._origin_verified(request):
            return True  # here, or one of CSRF_TRUSTED_ORIGINS
        site = request.headers.get("Sec-Fetch-Site")
        return site in HERE if site else "Origin" not in request.headers
