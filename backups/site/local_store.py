"""The store of this machine's site, for SQLite in a file or for PostgreSQL, as its ENGINE says."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from backups.conf import conf
from backups.disk.files import sync_folder, words
from backups.exceptions import BackupNotSupportedError, StoreFolderError
from backups.processes import cores, interpreter, memory
from backups.site.engine import POSTGRES, SQLITE, driver_is_missing, vendor_of
from backups.site.sqlite_site import database_path, foresee_warnings, paths, sqlite_store
from backups.sqlite.folder.paths import StorePaths
from backups.store import BackupStore

__all__ = [
    "absent_databases",
    "all_paths",
    "foresee_warnings",
    "get_store",
    "has_database",
    "has_store",
    "key_file",
    "make_folder",
    "make_own_folder",
    "other_aliases",
    "own_folders",
    "own_names",
    "paths",
    "server_aliases",
]

logger = logging.getLogger(__name__)

PORT = "5432"  # where a PostgreSQL server listens if the settings name no port


def get_store(database: str | None = None) -> BackupStore:
    """
    The store behind an alias in DATABASES, by default BACKUPS_DATABASE. Opens nothing.

    :raises BackupNotSupportedError: there is no such alias, its database is neither SQLite in a
        file nor PostgreSQL, or psycopg is not installed.
    """
    interpreter.named = conf.python
    memory.most = conf.check_memory_bytes
    cores.most = conf.check_processes
    alias = database or conf.database
    vendor = vendor_of(alias)
    if vendor == POSTGRES:
        return _postgres_store(alias)
    if vendor == SQLITE:
        return sqlite_store(alias)
    raise BackupNotSupportedError(
        f"The database {alias!r} is {connections[alias].display_name}, neither SQLite in a file"
        " nor PostgreSQL."
    )


def _postgres_store(alias: str) -> BackupStore:
    """Imported here, since a site on SQLite does not need its package."""
    if find_spec("psycopg") is None:  # Django itself may use psycopg 2
        raise driver_is_missing(alias)
    from backups.site.postgres_site import postgres_store

    return postgres_store(alias)


def has_store(alias: str | None = None) -> bool:
    """Whether there is a store for this database. Opens nothing."""
    with suppress(BackupNotSupportedError):
        get_store(alias)
        return True
    return False


def make_folder(alias: str | None = None) -> None:
    """
    Create the folder that a database belongs in, for this user alone, if there is none: on a new
    machine. For a database on a server that is BACKUPS_FOLDER, if the site has one.

    :raises StoreFolderError: the system refuses.
    """
    is_file = vendor_of(alias or conf.database) == SQLITE
    _make(database_path(alias).parent if is_file else conf.folder)


def make_own_folder() -> None:
    """Create BACKUPS_FOLDER, if the site has one. :raises StoreFolderError: the system refuses."""
    _make(conf.folder)


def _make(folder: Path | None) -> None:
    if folder is None or folder.is_dir():
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
    except OSError as error:
        raise StoreFolderError(f"{folder} can't be created: {words(error)}.") from error
    logger.info("%s is created, for the database", folder)


def other_aliases() -> list[str]:
    """
    The other databases that have a store: those that are SQLite in an existing file, and those on a
    PostgreSQL server. If two aliases name one database, only the first is here. Reads only, and
    asks no server.

    Missing files are left out: holding presence of one would put a lock file into its folder.
    """
    found = {_place(conf.database)}
    aliases = []
    for alias in settings.DATABASES:
        place = _place(alias)
        if alias != conf.database and place is not None and place not in found:
            found.add(place)
            aliases.append(alias)
    return aliases


def server_aliases() -> list[str]:
    """The aliases of databases on a PostgreSQL server, BACKUPS_DATABASE first if it is on one."""
    return [alias for alias in (conf.database, *other_aliases()) if _is_on_server(alias)]


def _place(alias: str) -> object:
    """Equal for two aliases of one database; None if there is no database."""
    if _is_on_server(alias):
        given = connections[alias].settings_dict
        place = given["HOST"] or "", str(given["PORT"] or PORT), given["NAME"] or ""
        return (*place, (given.get("OPTIONS") or {}).get("service", ""))
    around = _paths_if_usable(alias)
    return around.database if around and (alias == conf.database or _is_there(around)) else None


def _is_on_server(alias: str) -> bool:
    with suppress(BackupNotSupportedError, ImproperlyConfigured, ImportError):
        return vendor_of(alias) == POSTGRES
    return False


def absent_databases() -> dict[str, Path]:
    """The databases that are SQLite in a file that does not exist, by alias. Reads only."""
    absent = {}
    for alias in settings.DATABASES:
        around = _paths_if_usable(alias)
        if around and not _is_there(around):
            absent[alias] = around.database
    return absent


def _paths_if_usable(alias: str) -> StorePaths | None:
    with suppress(ImproperlyConfigured, ImportError):  # e.g. a driver that is not installed
        return paths(alias)
    return None


def _is_there(paths: StorePaths) -> bool:
    with suppress(OSError):  # in a folder that we may not read
        return paths.database.exists() or paths.pending.exists()
    return False


def key_file() -> Path | None:
    """
    Where the API keys are: BACKUPS_KEY_FILE, or else beside the database, or else, if it has no
    file, in BACKUPS_FOLDER; None if the site has none of them.
    """
    if (chosen := conf.key_file) is not None:
        return chosen
    if (beside := paths()) is not None:
        return beside.keys
    return conf.folder and conf.folder / f"{conf.name}.api-keys.json"


def all_paths() -> list[StorePaths]:
    """The names around each database that is SQLite in a file, BACKUPS_DATABASE first."""
    return [each for each in map(paths, (None, *other_aliases())) if each]


def has_database(alias: str) -> bool:
    """Whether there is a database with something in it. Creates nothing. Never raises."""
    with suppress(BackupNotSupportedError):
        return get_store(alias).has_content()
    return False


def own_names() -> tuple[Path, ...]:
    """
    Each database in a file as the settings name it, which may be a symbolic link, and the real
    file.
    """
    return tuple(_own_names())


def _own_names() -> Iterator[Path]:
    for alias in (conf.database, *other_aliases()):
        with suppress(BackupNotSupportedError):
            yield from (database_path(alias), StorePaths.of(database_path(alias)).database)


def own_folders() -> tuple[Path, ...]:
    """The folders that are this site's alone: BACKUPS_FOLDER, if a database is on a server."""
    return (conf.folder,) if conf.folder is not None and server_aliases() else ()
