from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from backups.api.authentication import ApiClient
from backups.keys.api_keys import ApiKey
from taskdog.permissions import HasScope, MayBackUp, MayRestore, MayUseTasks

PERMISSIONS = [MayUseTasks, MayBackUp, MayRestore]


def ask(
    permission: type[HasScope], *, scopes: tuple[str, ...] | None = None, user: User | None = None
) -> Response:
    """Ask a view that wants the permission, with a key, a user or nothing."""

    class Guarded(APIView):
        permission_classes = (permission,)

        def get(self, request: Request) -> Response:
            return Response()

    request = APIRequestFactory().get("/")
    if scopes is not None:
        key = ApiKey("k", "0" * 64, scopes, "2026-01-01T00:00:00+00:00")
        holder: Any = ApiClient("k")
        token: Any = key
        force_authenticate(request, holder, token)
    elif user is not None:
        force_authenticate(request, user)
    return Guarded.as_view()(request)


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_key_with_the_scope_may(permission: type[HasScope]) -> None:
    assert ask(permission, scopes=(permission.scope,)).status_code == 200


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_key_without_the_scope_gets_403_that_names_it(permission: type[HasScope]) -> None:
    others = tuple({"tasks", "backup", "restore"} - {permission.scope})
    response = ask(permission, scopes=others)
    assert response.status_code == 403
    assert f"'{permission.scope}'" in response.data["detail"]


@pytest.mark.parametrize("permission", PERMISSIONS)
@pytest.mark.parametrize(
    ("is_staff", "is_active", "status"), [(True, True, 200), (False, True, 403), (True, False, 403)]
)
def test_only_active_staff_may_without_a_key(
    permission: type[HasScope], is_staff: bool, is_active: bool, status: int
) -> None:
    user = User(username="ann", is_staff=is_staff, is_active=is_active)
    assert ask(permission, user=user).status_code == status


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_nobody_gets_401(permission: type[HasScope]) -> None:
    assert ask(permission).status_code == 401


@pytest.mark.parametrize(
    ("permission", "status"), [(MayUseTasks, 200), (MayBackUp, 401), (MayRestore, 401)]
)
def test_switching_authentication_off_opens_the_tasks_only(
    permission: type[HasScope], status: int, settings: Settings
) -> None:
    settings.TASKDOG_AUTH_ENABLED = False
    assert ask(permission).status_code == status
