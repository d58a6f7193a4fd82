"""
Who calls: the holder of an API key, or a member of staff with a session.

Both are told from the headers alone. The body is not read, so a caller who is refused costs no
upload.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from taskdog.api_keys import ApiKey, find_key
from taskdog.key_ring import key_ring

HEADER = "X-Api-Key"
CSRF_HEADER = "X-CSRFToken"

KEY_REQUIRED = "API key required"
KEY_INVALID = "Invalid API key"
NO_KEYS = "Authentication required but no API keys configured"


@dataclass(frozen=True, slots=True)
class ApiClient:
    """What stands in ``request.user`` for the holder of a key; no row of the database."""

    name: str

    pk: ClassVar[None] = None
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False

    def get_username(self) -> str:
        """Tell the name of the key, for logs and records."""
        return self.name

    def __str__(self) -> str:
        return self.name


class ApiKeyAuthentication(BaseAuthentication):
    """The header ``X-Api-Key``; ``request.auth`` is the ``ApiKey`` that it matched."""

    def authenticate(self, request: Request) -> tuple[ApiClient, ApiKey] | None:
        """Find the key. None without the header, so that a session may be tried instead."""
        presented = request.headers.get(HEADER, "")
        if not presented:
            return None
        keys = key_ring.keys(settings.TASKDOG_API_KEYS_FILE)
        if keys == ():
            raise AuthenticationFailed(NO_KEYS)
        key = find_key(keys or (), presented)
        if key is None:
            raise AuthenticationFailed(KEY_INVALID)
        return ApiClient(key.name), key

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme; with one DRF answers 401, without one 403."""
        return f'ApiKey header="{HEADER}"'


class StaffSessionAuthentication(SessionAuthentication):
    """A session from the browsable API's login; a changing request needs its CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        """
        Check the token, in the header if it is there.

        Of a POST Django searches the body first, which would read a whole upload before it is
        known whether the caller may send one. Of a PUT it reads the header only.

        :raises PermissionDenied: if the token is missing or wrong.
        """
        asked: Any = request
        if CSRF_HEADER in request.headers:
            asked = copy(request._request)
            asked.method = "PUT"
        super().enforce_csrf(asked)


def missing_key_message() -> str:
    """Tell a caller without any credentials what to bring. Reads only."""
    keys = key_ring.keys(settings.TASKDOG_API_KEYS_FILE)
    return NO_KEYS if keys == () else KEY_REQUIRED


def client_name(request: Request | HttpRequest) -> str | None:
    """Tell the name of the key or the user behind a request; None if it is anonymous."""
    user: Any = request.user
    return user.get_username() if user.is_authenticated else None
