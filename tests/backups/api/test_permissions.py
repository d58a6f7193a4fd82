from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from pytest_django import Settings
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from backups.api.authentication import ApiClient
from backups.api.permissions import MayBackUp, MayRestore, backup_permissions, restore_permissions
from backups.api.views import BackupView, RestoreView
from backups.keys.api_keys import ApiKey

BOTH = pytest.mark.parametrize(
    ("permissions", "scope"), [(backup_permissions, "backup"), (restore_permissions, "restore")]
)


class Nobody(BasePermission):
    """A permission of this project."""


def ask(permissions: Any, *, user: Any = None, scopes: tuple[str, ...] | None = None) -> Response:
    """Ask a view with these permissions, with a key, a user or nothing."""

    class Guarded(APIView):
        def get_permissions(self) -> list[BasePermission]:
            given: list[BasePermission] = permissions()
            return given

        def get(self, request: Request) -> Response:
            return Response()

    request = APIRequestFactory().get("/")
    if scopes is not None:
        holder: Any = ApiClient("cron")
        key: Any = ApiKey("cron", "0" * 64, scopes, "2026-01-01T00:00:00+00:00")
        force_authenticate(request, holder, key)
    elif user is not None:
        force_authenticate(request, user)
    return Guarded.as_view()(request)


@pytest.fixture(autouse=True)
def _any_project(settings: Settings) -> None:
    """Nothing is set: as in a project that has just added the app."""
    del settings.BACKUPS_BACKUP_PERMISSION
    del settings.BACKUPS_RESTORE_PERMISSION


def test_by_default_a_key_with_the_scope_may_or_staff() -> None:
    assert isinstance(backup_permissions()[-1], MayBackUp)
    assert isinstance(restore_permissions()[-1], MayRestore)


@BOTH
def test_key_may_what_its_scope_says_and_no_more(permissions: Any, scope: str) -> None:
    assert ask(permissions, scopes=(scope,)).status_code == 200
    others = tuple({"tasks", "backup", "restore"} - {scope})
    refused = ask(permissions, scopes=others)
    assert refused.status_code == 403
    assert f"'{scope}'" in refused.data["detail"]


@BOTH
def test_only_active_staff_may_without_a_key(permissions: Any, scope: str) -> None:
    answers = {
        (staff, active): ask(permissions, user=User(is_staff=staff, is_active=active)).status_code
        for staff in (True, False)
        for active in (True, False)
    }
    assert answers == {
        (True, True): 200,
        (True, False): 403,
        (False, True): 403,
        (False, False): 403,
    }


@BOTH
@pytest.mark.parametrize("user", [AnonymousUser(), object()], ids=["anonymous", "no such fields"])
def test_user_of_another_kind_is_refused_without_a_fault(
    permissions: Any, scope: str, user: Any
) -> None:
    assert ask(permissions, user=user).status_code in (401, 403)


@BOTH
def test_key_needs_the_scope_where_the_project_admits_everybody_who_is_logged_in(
    permissions: Any, scope: str, settings: Settings
) -> None:
    settings.BACKUPS_BACKUP_PERMISSION = "rest_framework.permissions.IsAuthenticated"
    settings.BACKUPS_RESTORE_PERMISSION = "rest_framework.permissions.IsAuthenticated"
    assert ask(permissions, user=User(username="ann")).status_code == 200
    assert ask(permissions, scopes=(scope,)).status_code == 200
    assert ask(permissions, scopes=()).status_code == 403


def test_permission_of_the_project_s_own_rules_keys_too(settings: Settings) -> None:
    settings.BACKUPS_BACKUP_PERMISSION = "rest_framework.permissions.IsAdminUser"
    assert ask(backup_permissions, scopes=("backup",)).status_code == 403


def test_each_way_has_a_permission_of_its_own(settings: Settings) -> None:
    settings.BACKUPS_BACKUP_PERMISSION = "rest_framework.permissions.AllowAny"
    settings.BACKUPS_RESTORE_PERMISSION = "rest_framework.permissions.IsAuthenticated"
    assert isinstance(backup_permissions()[-1], AllowAny)
    assert isinstance(restore_permissions()[-1], IsAuthenticated)


def test_views_ask_the_settings_at_each_request(settings: Settings) -> None:
    settings.BACKUPS_BACKUP_PERMISSION = f"{__name__}.Nobody"
    settings.BACKUPS_RESTORE_PERMISSION = f"{__name__}.Nobody"
    for view in (BackupView(), RestoreView()):
        assert isinstance(view.get_permissions()[-1], Nobody)


def test_permission_that_cannot_be_imported_opens_nothing(settings: Settings) -> None:
    settings.BACKUPS_RESTORE_PERMISSION = "no.such.Permission"
    with pytest.raises(ImportError):
        restore_permissions()
