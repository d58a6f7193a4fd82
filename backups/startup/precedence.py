"""
Which of two commands with one name runs.

Django takes the one whose app comes first in INSTALLED_APPS, and ours has to be the first. A name
as plain as ``backup`` may be one that the project uses already: there ours steps aside, and runs
under its other name. The check backups.W011 tells which is which.
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
    """The command that another app has under that name; ours if none has."""
    for app in others_with(name):
        theirs = sys.modules.get(f"{app}.management.commands.{name}")
        if theirs is not None and not hasattr(theirs, "Command"):
            return ours  # their module is being imported, and asks for ours
        return type(load_command_class(app, name))
    return ours


def others_with(name: str) -> Iterator[str]:
    """The apps besides this one that have a command of that name, in Django's own order."""
    for app in apps.get_app_configs():
        if app.name != "backups" and name in find_commands(os.path.join(app.path, "management")):
            yield app.name


def is_ours(app: str, name: str) -> bool:
    """Whether an app's command of that name is ours, made to fit its site."""
    with suppress(ImportError):  # one that can't be imported can't be
        return isinstance(
            load_command_class(app, name), type(load_command_class("backups", OTHER_NAMES[name]))
        )
    return False
