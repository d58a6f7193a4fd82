"""
Who may do what: a key with the scope, or a session of active staff.

A caller without credentials gets 401, one without the scope 403 with the scope's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from backups.api import permissions
from taskdog.authentication import missing_key_message

if TYPE_CHECKING:  # at run time that module asks for this one, as the default permission
    from rest_framework.views import APIView


class HasScope(permissions.HasScope):
    """Base of the permissions below, which name their scope."""

    scope = ""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Admit by scope or by staff. :raises NotAuthenticated: if nobody is logged in."""
        if not request.user.is_authenticated:
            raise NotAuthenticated(missing_key_message())
        return super().has_permission(request, view)


class MayUseTasks(HasScope):
    """The tasks and their audit log; the only ones that TASKDOG_AUTH_ENABLED=0 opens."""

    scope = "tasks"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Admit everybody while authentication is switched off, else as by scope."""
        return not settings.TASKDOG_AUTH_ENABLED or super().has_permission(request, view)


class MayBackUp(HasScope):
    """The whole database, to take away."""

    scope = permissions.MayBackUp.scope


class MayRestore(HasScope):
    """The whole database, to replace."""

    scope = permissions.MayRestore.scope
