"""
Who calls: the holder of an API key (``backups.api.authentication``), or staff with a session.

Both are known from the headers alone. The body is not read, so a caller who is refused costs no
upload.
"""

from copy import copy
from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from backups.api.authentication import NO_KEYS, current_keys

CSRF_HEADER = "X-CSRFToken"

KEY_REQUIRED = "API key required"


class StaffSessionAuthentication(SessionAuthentication):
    """A session from the browsable API's login; a changing request needs its CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        """
        Check the token, in the header if it is there.

        Of a POST Django searches the body first, which would read a whole upload before it is
        known whether the caller may send one. Of a PUT it reads the header only. A GET needs no
        token, and an old one in its header does no harm.

        :raises PermissionDenied: if the token is missing or wrong.
        """
        asked: Any = request
        if request.method == "POST" and CSRF_HEADER in request.headers:
            asked = copy(request._request)
            asked.method = "PUT"
        super().enforce_csrf(asked)


def missing_key_message() -> str:
    """Tell a caller without any credentials what is needed. Reads only."""
    return NO_KEYS if current_keys() == () else KEY_REQUIRED


def client_name(request: Request | HttpRequest) -> str | None:
    """Tell the name of the key or the user behind a request; None if it is anonymous."""
    user: Any = request.user
    return user.get_username() if user.is_authenticated else None
