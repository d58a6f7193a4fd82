"""
Who may take snapshots and who may restore: holders of a key with the scope, and others by setting.

    BACKUPS_BACKUP_PERMISSION = "backups.api.permissions.MayBackUp"  # the default: a key, or staff
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.utils.module_loading import import_string
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from backups.api.authentication import HEADER, KEY_INVALID
from backups.conf import conf
from backups.keys.api_keys import BACKUP, METRICS, RESTORE, ApiKey

if TYPE_CHECKING:  # at run time that module may ask for this one, as the default permission
    from rest_framework.views import APIView

__all__ = [
    "HasScope",
    "MayBackUp",
    "MayReadMetrics",
    "MayRestore",
    "backup_permissions",
    "restore_permissions",
]


class HasScope(BasePermission):
    """
    Allows a key with the scope, and active staff. A subclass only needs to set ``scope``.

    The site's own scopes are in BACKUPS_EXTRA_SCOPES.
    """

    scope: ClassVar[str]
    message: str

    def __init_subclass__(cls) -> None:
        cls.message = f"This needs an API key with the scope '{cls.scope}', or a staff login."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether to allow it. :raises AuthenticationFailed: the key is unknown."""
        if isinstance(request.auth, ApiKey):
            return self.scope in request.auth.scopes
        user = request.user
        if not getattr(user, "is_authenticated", False) and request.headers.get(HEADER):
            raise AuthenticationFailed(KEY_INVALID)
        # The project's own user model may have neither.
        return bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))


class MayBackUp(HasScope):
    """May take a snapshot of the whole database."""

    scope = BACKUP


class MayRestore(HasScope):
    """May replace the whole database."""

    scope = RESTORE


def backup_permissions() -> list[BasePermission]:
    """An instance of BACKUPS_BACKUP_PERMISSION, and the rule that a key needs the scope."""
    return [_ScopeOfKey(MayBackUp), _load(conf.backup_permission)]


def restore_permissions() -> list[BasePermission]:
    """An instance of BACKUPS_RESTORE_PERMISSION, and the rule that a key needs the scope."""
    return [_ScopeOfKey(MayRestore), _load(conf.restore_permission)]


class MayReadMetrics(BasePermission):
    """May read how the backups are doing: a key for that alone, and whoever may take a snapshot."""

    message = f"This needs an API key with the scope '{METRICS}' or '{BACKUP}', or a staff login."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether to allow it."""
        if isinstance(request.auth, ApiKey):
            return bool({METRICS, BACKUP}.intersection(request.auth.scopes))
        return all(each.has_permission(request, view) for each in backup_permissions())


class _ScopeOfKey(BasePermission):
    """A key needs the scope even if the project allows every logged-in user."""

    def __init__(self, permission: type[HasScope]) -> None:
        self._permission = permission
        self.message = permission.message

    def has_permission(self, request: Request, view: APIView) -> bool:
        is_key = isinstance(request.auth, ApiKey)
        return not is_key or self._permission().has_permission(request, view)


def _load(path: str) -> BasePermission:
    permission: type[BasePermission] = import_string(path)
    return permission()
