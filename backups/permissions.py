"""Who may take snapshots, and who may restore: whatever the site's settings say."""

from django.utils.module_loading import import_string
from rest_framework.permissions import BasePermission

from backups.conf import conf


def backup_permission() -> BasePermission:
    """An instance of BACKUPS_BACKUP_PERMISSION."""
    return _load(conf.backup_permission)


def restore_permission() -> BasePermission:
    """An instance of BACKUPS_RESTORE_PERMISSION."""
    return _load(conf.restore_permission)


def _load(path: str) -> BasePermission:
    permission: type[BasePermission] = import_string(path)
    return permission()
