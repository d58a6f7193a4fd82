import pytest
from pytest_django import Settings
from rest_framework.permissions import AllowAny, BasePermission, IsAdminUser, IsAuthenticated

from backups.permissions import backup_permission, restore_permission
from backups.views import BackupView, RestoreView


class Nobody(BasePermission):
    """A permission of this project."""


def test_staff_alone_may_by_default(settings: Settings) -> None:
    del settings.BACKUPS_BACKUP_PERMISSION
    del settings.BACKUPS_RESTORE_PERMISSION
    assert isinstance(backup_permission(), IsAdminUser)
    assert isinstance(restore_permission(), IsAdminUser)


def test_each_way_has_a_permission_of_its_own(settings: Settings) -> None:
    settings.BACKUPS_BACKUP_PERMISSION = "rest_framework.permissions.AllowAny"
    settings.BACKUPS_RESTORE_PERMISSION = "rest_framework.permissions.IsAuthenticated"
    assert isinstance(backup_permission(), AllowAny)
    assert isinstance(restore_permission(), IsAuthenticated)


def test_views_ask_the_settings_at_each_request(settings: Settings) -> None:
    settings.BACKUPS_BACKUP_PERMISSION = f"{__name__}.Nobody"
    settings.BACKUPS_RESTORE_PERMISSION = f"{__name__}.Nobody"
    for view in (BackupView(), RestoreView()):
        (permission,) = view.get_permissions()
        assert isinstance(permission, Nobody)


def test_permission_that_cannot_be_imported_opens_nothing(settings: Settings) -> None:
    settings.BACKUPS_RESTORE_PERMISSION = "no.such.Permission"
    with pytest.raises(ImportError):
        restore_permission()
