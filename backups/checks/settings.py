"""Numbered checks, each with a hint, of the settings of this app and of its installation."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string
from rest_framework.permissions import OperandHolder

from backups.conf import conf
from backups.processes.interpreter import explain_unfit
from backups.processes.memory import LEAST as LEAST_MEMORY
from backups.startup.precedence import OTHER_NAMES, is_ours, others_with


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the value of every BACKUPS_ setting."""
    return [
        *_database(),
        *_name(),
        *_numbers(),
        *_whole_numbers(),
        *_permissions(),
        *_switches(),
        *_own_files(),
        *_folders(),
        *_server(),
        *_functions(),
        *_python(),
    ]


def check_installation(**_: Any) -> list[CheckMessage]:
    """Check the apps before this one, the names of commands, and the versions."""
    return [*_first(), *_rest_framework(), *_commands(), *_django()]


def _first() -> Iterator[CheckMessage]:
    first = next(iter(apps.get_app_configs())).name
    if first == "backups":
        return
    yield CheckWarning(
        f"'backups' is not the first of INSTALLED_APPS: {first!r} is ready before it.",
        hint="Put 'backups' first, so that a restore is applied before any query.",
        id="backups.W001",
    )


def _rest_framework() -> Iterator[CheckMessage]:
    if apps.is_installed("rest_framework"):
        return
    yield CheckWarning(
        "'rest_framework' is not in INSTALLED_APPS: a browser can't show the upload form.",
        hint="Add 'rest_framework' to INSTALLED_APPS.",
        id="backups.W010",
    )


def _commands() -> Iterator[CheckMessage]:
    for name, other_name in OTHER_NAMES.items():
        for app in others_with(name):
            if not is_ours(app, name):
                yield CheckWarning(
                    f"'manage.py {name}' runs the command of {app!r}, not the one of this app.",
                    hint=f"To run this app's command, use: manage.py {other_name}.",
                    id="backups.W011",
                )


def _django() -> Iterator[CheckMessage]:
    if django.VERSION >= (5, 2):
        return
    yield CheckWarning(
        f"Django {django.get_version()} is older than 5.2, the oldest that this app is"
        " tested with.",
        hint="It is known to work from 4.2 on; try a backup and a restore before you need one.",
        id="backups.W012",
    )


def _database() -> Iterator[CheckMessage]:
    if conf.database in settings.DATABASES:
        return
    yield Error(
        f"BACKUPS_DATABASE is {conf.database!r}, which is not in DATABASES.",
        hint=f"Choose one of: {', '.join(settings.DATABASES)}.",
        id="backups.E001",
    )


def _name() -> Iterator[CheckMessage]:
    name = conf.name
    if name and name.isascii() and name.isprintable() and not set(name) & set('/\\"'):
        return
    yield Error(
        f"BACKUPS_NAME is {conf.name!r}, which can't be part of a file name.",
        hint="Use letters, digits and hyphens, e.g. 'taskdog'.",
        id="backups.E002",
    )


def _numbers() -> Iterator[CheckMessage]:
    for number, name, unit in (
        ("E003", "BACKUPS_MAX_UPLOAD_BYTES", "bytes"),
        ("E004", "BACKUPS_CHECK_SECONDS", "seconds"),
        ("E008", "BACKUPS_LIVE_SECONDS", "seconds"),
        ("E011", "BACKUPS_SPOOL_SECONDS", "seconds"),
        ("E012", "BACKUPS_STALL_SECONDS", "seconds"),
        ("E030", "BACKUPS_MIGRATE_SECONDS", "seconds"),
        ("E031", "BACKUPS_MIGRATE_PROCESSOR_SECONDS", "seconds"),
        ("E032", "BACKUPS_MIGRATE_MEMORY_BYTES", "bytes"),
        ("E035", "BACKUPS_MIN_BYTES_PER_SECOND", "bytes a second"),
    ):
        value = getattr(settings, name, 1)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < math.inf:
            yield Error(
                f"{name} should be a number of {unit} greater than zero, not {value!r}.",
                hint=f"Remove it to use the default, or set a number of {unit}.",
                id=f"backups.{number}",
            )


def _whole_numbers() -> Iterator[CheckMessage]:
    for number, name, lowest, meaning in (
        ("E025", "BACKUPS_RESUME_SECONDS", 0, "of seconds, 0 for none"),
        ("E007", "BACKUPS_KEPT_COPIES", 0, "of files, 0 for all"),
        ("E055", "BACKUPS_KEPT_DAYS", 0, "of days, 0 to go by their number alone"),
        ("E013", "BACKUPS_COMPACT_UP_TO", 0, "of bytes, 0 for none"),
        ("E014", "BACKUPS_SNAPSHOTS_AT_ONCE", 1, "of snapshots, at least 1"),
        ("E033", "BACKUPS_MIGRATE_TRIES", 1, "of starts, at least 1"),
        ("E040", "BACKUPS_UPLOADS_AT_ONCE", 1, "of uploads, at least 1"),
        ("E041", "BACKUPS_KEEP_FREE_BYTES", 0, "of bytes, 0 for none"),
        ("E042", "BACKUPS_CHECK_MEMORY_BYTES", LEAST_MEMORY, "of bytes, at least 128 MiB"),
        ("E043", "BACKUPS_CHECK_PROCESSES", 0, "of processes, 0 for as many as there are cores"),
        ("E036", "BACKUPS_MAX_BODY_BYTES", 1, "of bytes, at least 1"),
    ):
        value = getattr(settings, name, lowest)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            yield Error(
                f"{name} should be a whole number {meaning}, not {value!r}.",
                hint="Remove it to use the default, or set a whole number.",
                id=f"backups.{number}",
            )


def _permissions() -> Iterator[CheckMessage]:
    for number, name, path in (
        ("E005", "BACKUPS_BACKUP_PERMISSION", conf.backup_permission),
        ("E006", "BACKUPS_RESTORE_PERMISSION", conf.restore_permission),
    ):
        if problem := _problem(path):
            yield Error(
                f"{name} is {path!r}, which {problem}.",
                hint="Set the dotted path of a Django REST framework permission class.",
                id=f"backups.{number}",
            )


def _switches() -> Iterator[CheckMessage]:
    for number, name in (
        ("E009", "BACKUPS_CLEAR_SESSIONS"),
        ("E010", "BACKUPS_ALLOW_UNKNOWN_SCHEMA"),
        ("E045", "BACKUPS_REMOTE_INSECURE"),
        ("E107", "BACKUPS_SKIP_UNCHANGED"),
    ):
        if not isinstance(value := getattr(settings, name, True), bool):
            yield Error(
                f"{name} should be True or False, not {value!r}.",
                hint="Remove it to use the default.",
                id=f"backups.{number}",
            )


def _own_files() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_OWN_FILES", ())
    if isinstance(given, list | tuple) and all(
        isinstance(path, str | Path) and Path(path).is_absolute() for path in given
    ):
        return
    yield Error(
        f"BACKUPS_OWN_FILES is {given!r}, which is not a list of full paths.",
        hint="List the files and folders of this site that no snapshot may be written onto,"
        " e.g. ['/srv/site/secret_key'].",
        id="backups.E046",
    )


def _folders() -> Iterator[CheckMessage]:
    programs = "Set the path of the folder with pg_dump, e.g. /usr/lib/postgresql/17/bin."
    own = "Set the path of a folder for the files of backups, e.g. /var/lib/site/backups."
    for name, is_own, wrong, unusable in (
        ("BACKUPS_FOLDER", True, "E130", "W130"),
        ("BACKUPS_POSTGRES_PROGRAMS", False, "E131", "W131"),
    ):
        given = getattr(settings, name, None)
        if not given:
            continue
        if not isinstance(given, str | Path) or not Path(given).is_absolute():
            yield Error(
                f"{name} is {given!r}, which is not the full path of a folder.",
                hint=own if is_own else programs,
                id=f"backups.{wrong}",
            )
        elif problem := _unusable(Path(given), is_written=is_own):
            make = f"Create it, for the site's user alone: install -d -m 0700 {given}"
            yield CheckWarning(
                f"{name} is {str(given)!r}, which {problem}.",
                hint=make if is_own else programs,
                id=f"backups.{unusable}",
            )


def _server() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_POSTGRES_CONNECTION", None)
    is_usable = isinstance(given, dict) and all(map(_is_text, given)) and "dbname" not in given
    if given is not None and not is_usable:
        yield Error(
            # Don't quote the value: it may have a password in it.
            "BACKUPS_POSTGRES_CONNECTION is not a dictionary of libpq's parameters, without that of"
            " the database.",
            hint='Set what is other than in DATABASES, e.g. {"host": "10.0.0.7", "port": 5432}.',
            id="backups.E132",
        )
    template = getattr(settings, "BACKUPS_POSTGRES_TEMPLATE", "template0")
    if not _is_text(template):
        yield Error(
            f"BACKUPS_POSTGRES_TEMPLATE should be the name of a database, not {template!r}.",
            hint="Remove it to use template0.",
            id="backups.E133",
        )


def _is_text(given: object) -> bool:
    return isinstance(given, str) and bool(given)


def _unusable(folder: Path, *, is_written: bool) -> str:
    """What is wrong with a folder; empty if nothing is, as far as this user can see."""
    if not folder.is_dir():
        return "is not a folder" if folder.exists() else "does not exist"
    if is_written and not os.access(folder, os.W_OK | os.X_OK):
        return "this user can't write to"
    return ""


def _functions() -> Iterator[CheckMessage]:
    for number, name, path, takes in (
        ("E015", "BACKUPS_RECOGNISER", conf.recogniser, "the tables of a database"),
        ("E016", "BACKUPS_CONNECTION_SETUP", conf.connection_setup, "a sqlite3.Connection"),
    ):
        try:
            if not path or callable(import_string(path)):
                continue
            problem = "is not a function"
        except (ImportError, ValueError) as error:
            problem = f"can't be imported: {error}"
        yield Error(
            f"{name} is {path!r}, which {problem}.",
            hint=f"Set the dotted path of a function that takes {takes}.",
            id=f"backups.{number}",
        )


def _python() -> Iterator[CheckMessage]:
    path = conf.python
    if not path or not (problem := explain_unfit(path)):
        return
    yield Error(
        f"BACKUPS_PYTHON is {path!r}, which {problem}.",
        hint="Set the path of the Python that this site runs in, e.g. /srv/venv/bin/python.",
        id="backups.E017",
    )


def _problem(path: str) -> str:
    try:
        permission = import_string(path)
    except (ImportError, ValueError) as error:
        return f"can't be imported: {error}"
    if isinstance(permission, OperandHolder) or hasattr(permission, "has_permission"):
        return ""
    return "is not a permission class"
