"""
Which of two commands with the same name runs.

Django prefers the app that comes first in INSTALLED_APPS, and this app must be the first. But the
project may already have a command with a name as common as ``backup``. Then the project's command
runs, and ours is available under its other name. The check backups.W011 says which is which.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from django.apps import apps
from django.core.management import find_commands, load_command_class
from django.core.management.base import BaseCommand

OTHER_NAMES = {
    "backup": "backup_db",
    "create_api_key": "create_backup_key",
    "api_keys": "backup_keys",
}


def unless_taken(name: str, ours: type[BaseCommand]) -> type[BaseCommand]:
    """Another app's command of that name; ours if there is none."""
    for app in others_with(name):
        theirs = sys.modules.get(f"{app}.management.commands.{name}")
        if theirs is not None and not hasattr(theirs, "Command"):
            return ours  # their module is being imported, and imports ours
        return type(load_command_class(app, name))
    return ours


def others_with(name: str) -> Iterator[str]:
    """The other apps that have a command of that name, in Django's order."""
    for app in apps.get_app_configs():
        if app.name != "backups" and name in find_commands(os.path.join(app.path, "management")):
            yield app.name


def is_ours(app: str, name: str) -> bool:
    """Whether an app's command of that name extends ours."""
    with suppress(ImportError):  # then it does not
        return isinstance(
            load_command_class(app, name), type(load_command_class("backups", OTHER_NAMES[name]))
        )
    return False
