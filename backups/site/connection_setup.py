"""
The collations, SQL functions and extensions that this site's connections have.

A child needs them to check a snapshot whose schema uses them. It loads the site's code *before* it
opens the file, lets Django connect to an empty database in memory, and remembers what Django and
the receivers of ``connection_created`` register there. It registers the same on the connections of
the check. Nothing else that the receivers do (a PRAGMA, say) reaches the file.
"""

import sqlite3
from typing import Any

from django.db import connections
from django.utils.module_loading import import_string

from backups.conf import conf

REGISTERING = (
    "create_function",
    "create_aggregate",
    "create_window_function",
    "create_collation",
    "load_extension",
)

_registered: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []


def load(alias: str, setup: str) -> None:
    """
    Find out what the site registers.

    :param alias: the alias of the database.
    :param setup: BACKUPS_CONNECTION_SETUP, the path of a function that registers everything before
        any app is ready; empty to set up Django as every command does, and connect.
    """
    if setup:
        connection = _recording(sqlite3.Connection)(":memory:")
        import_string("django.db.backends.sqlite3._functions.register")(connection)
        import_string(setup)(connection)
    else:
        _set_up(alias)
        connections.create_connection(alias).connect()


def knows(wanted: str) -> bool:
    """
    Whether the site may have registered what a schema needs: ``function NAME``, ``collation NAME``
    or ``module NAME``. Always true if it loads an extension: nobody knows what that contains.
    """
    kind, _, name = wanted.partition(" ")
    for method, arguments, options in _registered:
        called = str(arguments[0] if arguments else options.get("name"))
        is_kind = (method == "create_collation") == (kind == "collation")
        if method == "load_extension" or (is_kind and called.lower() == name.lower()):
            return True
    return False


def register(connection: sqlite3.Connection) -> None:
    """Register everything on another connection."""
    for name, arguments, options in _registered:
        is_extension = name == "load_extension"
        if is_extension:
            connection.enable_load_extension(True)
        getattr(connection, name)(*arguments, **options)
        if is_extension:  # no expression in a schema may load one
            connection.enable_load_extension(False)


def _set_up(alias: str) -> None:
    import django
    from django.conf import settings

    conf.is_child = True  # this process must not touch the live database
    database: dict[str, Any] = settings.DATABASES[alias]
    options = database.get("OPTIONS", {})
    factory = _recording(options.get("factory", sqlite3.Connection))
    # An app may query the database as it becomes ready: it finds an empty one.
    database.update(NAME=":memory:", OPTIONS=options | {"factory": factory})
    django.setup()


def _recording(base: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
    """A connection that remembers what is registered on it."""
    there = [name for name in REGISTERING if hasattr(base, name)]  # some builds lack the last
    return type("RecordingConnection", (base,), {name: _remembered(base, name) for name in there})


def _remembered(base: type[sqlite3.Connection], name: str) -> Any:
    original = getattr(base, name)

    def register_and_remember(self: sqlite3.Connection, *arguments: Any, **options: Any) -> Any:
        answer = original(self, *arguments, **options)
        _registered.append((name, arguments, options))
        return answer

    return register_and_remember
