"""
What browsers and caches may do with an answer.

The pages of the browsable API and of the description bring their scripts in files, so no inline
script runs, but for one attribute that is known to the letter. Their styles are partly inline.

Sources: https://www.w3.org/TR/CSP3/; RFC 9111 (section 5.2.2.5, no-store)
"""

import base64
import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

# What "Log out" does on the pages of Django REST framework, in its ``onclick``.
LOG_OUT = 'document.getElementById("logoutForm").submit()'
LOG_OUT_HASH = base64.b64encode(hashlib.sha256(LOG_OUT.encode()).digest()).decode()

PAGES = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' 'unsafe-hashes' 'sha256-{LOG_OUT_HASH}'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",  # the icons of the page that tries the API
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
DATA = "default-src 'none'; frame-ancestors 'none'"  # should a browser show it as a page


class ResponseHeadersMiddleware:
    """Add the headers to each answer of a view that has not set them itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """As Django makes it, once."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """What is below /api holds somebody's data, and no copy of it is kept on the way."""
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        response.headers.setdefault("Content-Security-Policy", PAGES if is_page else DATA)
        if request.path.startswith("/api"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
