"""
Authentication by an API key in the header ``X-Api-Key``.

The body is not read, so a refused caller costs no upload. The views of this app accept keys besides
the project's own authentication. A project's own views can accept them too:

    REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [
        "backups.api.authentication.ApiKeyAuthentication", …]}
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from backups.keys import wrong_keys
from backups.keys.api_keys import ApiKey, Keys, find_key
from backups.keys.key_ring import key_ring
from backups.keys.key_usage import key_usage
from backups.site.local_store import key_file

__all__ = [
    "HEADER",
    "ApiClient",
    "ApiKeyAuthentication",
    "ApiKeysMixin",
    "caller_name",
    "current_keys",
]

HEADER = "X-Api-Key"

KEY_INVALID = "Invalid API key"
NO_KEYS = "Authentication required but no API keys configured"


@dataclass(frozen=True, slots=True)
class ApiClient:
    """The holder of a key, as ``request.user``. Not a row of the database."""

    name: str

    pk: ClassVar[None] = None
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    def get_username(self) -> str:
        """The name of the key, for logs and records."""
        return self.name

    def __str__(self) -> str:
        return self.name


class ApiKeyAuthentication(BaseAuthentication):
    """The header ``X-Api-Key``; ``request.auth`` is the ``ApiKey`` that it matched."""

    def authenticate(self, request: Request) -> tuple[ApiClient, ApiKey] | None:
        """
        Find the key. None without the header, so that other authentication is tried.

        :raises AuthenticationFailed: the key is wrong, or has expired.
        :raises Throttled: too many wrong keys came from that address. A valid key never waits.
        """
        presented = request.headers.get(HEADER, "")
        if not presented:
            return None
        keys = current_keys()
        key = find_key(keys or (), presented)
        if key is None:
            self.refuse(request, presented, keys)
            return None
        if key.is_expired():
            wrong_keys.refuse_expired(request, key)
        path = key_file()
        assert path is not None  # the key was found there
        key_usage.note(path, key.sha256)
        return ApiClient(key.name), key

    def refuse(self, request: Request, presented: str, keys: Keys | None) -> None:
        """Refuse an unknown key. It counts as wrong only if this site has keys at all."""
        if keys:
            wrong_keys.count(request, presented)
        raise AuthenticationFailed(NO_KEYS if keys == () else KEY_INVALID)

    def authenticate_header(self, request: Request) -> str:
        """The scheme. With one, DRF answers 401; without one, 403."""
        return f'ApiKey header="{HEADER}"'


class _KeyIfKnown(ApiKeyAuthentication):
    """Leaves an unknown key to the project's own authentication, which may know it."""

    def refuse(self, request: Request, presented: str, keys: Keys | None) -> None:
        """Does nothing: the view counts the key as wrong if no other authentication knows it."""


class ApiKeysMixin:
    """For a view: accept an API key besides the authentication that the project has chosen."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Ours first, then the project's; only the project's if ours is one of them."""
        theirs: list[BaseAuthentication] = super().get_authenticators()  # type: ignore[misc]
        if any(isinstance(each, ApiKeyAuthentication) for each in theirs):
            return theirs
        return [_KeyIfKnown(), *theirs]

    def perform_authentication(self, request: Request) -> None:
        """As any view, but count a key that nobody knows. :raises Throttled: too many of them."""
        super().perform_authentication(request)  # type: ignore[misc]
        presented = request.headers.get(HEADER, "")
        is_known = getattr(request.user, "is_authenticated", False)
        if presented and not is_known and current_keys():
            wrong_keys.count(request, presented)

    def get_authenticate_header(self, request: Request) -> str:
        """What a 401 asks for: the project's own scheme if it has one; else a key."""
        theirs = [each for each in self.get_authenticators() if not isinstance(each, _KeyIfKnown)]
        asked = theirs[0].authenticate_header(request) if theirs else None
        return asked or ApiKeyAuthentication().authenticate_header(request)


def current_keys() -> Keys | None:
    """The keys that are valid now; None if their file is not usable: refuse every key."""
    path = key_file()
    return () if path is None else key_ring.keys(path)


def caller_name(request: Request) -> str:
    """The name of the key or of the user, for records; empty for an anonymous request."""
    user: Any = request.user  # None with DRF's UNAUTHENTICATED_USER, or an object of the project's
    return str(user.get_username() if hasattr(user, "get_username") else user or "")
