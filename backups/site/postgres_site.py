"""The store of a site whose database is on a PostgreSQL server, set up as the settings say."""

import logging
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from django.db import connections

from backups.conf import conf
from backups.exceptions import BackupError, BackupNotSupportedError
from backups.postgres import contents
from backups.postgres.dumps import dump
from backups.postgres.dumps.dump import Dump
from backups.postgres.kept import Keeping
from backups.postgres.programs import find_programs_for
from backups.postgres.server import Server
from backups.postgres.site import MoveOptions
from backups.postgres.store import Limits, PostgresBackupStore
from backups.site.django_site import DjangoSite
from backups.site.migrate import migrate_database
from backups.site.move.move import Moved, move_snapshot
from backups.site.names import plural, some
from backups.sqlite.format.schema import Program
from backups.sqlite.site import Live

logger = logging.getLogger(__name__)

MOVE_SECONDS = 7 * 24 * 3600.0  # a week, so in effect no limit: whoever waits for it can end it
LIVE_SECONDS = 10.0  # reading the live database's schema takes some milliseconds
# What Django puts beside libpq's own parameters.
NOT_OF_LIBPQ = (
    "assume_role", "client_encoding", "context", "cursor_factory", "dbname", "isolation_level",
    "pool", "prepare_threshold", "server_side_binding",
)  # fmt: skip


def postgres_store(alias: str) -> PostgresBackupStore:
    """The store behind an alias whose ENGINE is PostgreSQL's. Connects to nothing."""
    server, name = server_of(alias)
    return PostgresBackupStore(
        server,
        name,
        site=PostgresSite(alias, server, name),
        folder=work_folder(),
        archive=None if conf.folder is None else conf.folder / f"{conf.name}.archive",
        programs=conf.postgres_programs,
        keeping=Keeping(copies=conf.kept_copies, days=conf.kept_days),
        limits=Limits(
            check_seconds=conf.check_seconds,
            migrate_tries=conf.migrate_tries,
            snapshots_at_once=conf.snapshots_at_once,
            uploads_at_once=conf.uploads_at_once,
            keep_free=conf.keep_free_bytes,
        ),
    )


def server_of(alias: str) -> tuple[Server, str]:
    """
    The server of an alias, as backups reach it, and the name of its database there.

    :raises BackupNotSupportedError: the settings don't name it.
    """
    wrapper: Any = connections[alias]
    found = dict(wrapper.get_connection_params())
    if not (name := str(found.get("dbname") or wrapper.settings_dict["NAME"] or "")):
        raise BackupNotSupportedError(
            f"DATABASES[{alias!r}] does not name its database: backups keep others beside it.",
            hint="Set NAME, even where a service file of libpq has the name too.",
        )
    known = {key: each for key, each in found.items() if key not in NOT_OF_LIBPQ}
    return Server({**known, **conf.postgres_connection}, conf.postgres_template), name


def work_folder() -> Path:
    """
    This machine's folder for temporary files. Not below /tmp: that may be memory, and a snapshot
    may be as large as the database.
    """
    return conf.folder or Path(f"/var/tmp/{conf.name}-backups-{os.geteuid()}")  # noqa: S108


def _is_changed_view(program: Program, views: Collection[str], live: Live) -> bool:
    is_other = program.name in views and program not in (live.programs or ())
    return program.kind == "view" and is_other and dump.calls_nothing(program)


class PostgresSite(DjangoSite):
    """The migrations of the installed apps, for a database on a server."""

    def __init__(self, alias: str, server: Server, name: str) -> None:
        super().__init__(alias)
        self._server, self._name = server, name

    def read_live(self) -> Live:
        """As for SQLite: empty if the live database can't be read, or is not there."""
        try:
            with self._server.session(self._name, seconds=LIVE_SECONDS) as connection:
                found = contents.read_contents(connection)
                server = connection.info.server_version // 10_000
            programs = dump.read_programs(
                find_programs_for(conf.postgres_programs, server).pg_dump,
                environment=self._server.environment(self._name),
                seconds=conf.check_seconds,
            )
        except BackupError as error:
            logger.info("the live database can't be read: %s", error)
            return Live()
        return Live(frozenset(found.migrations), programs, found.tables, found.generated)

    def data_version(self) -> tuple[object, int] | None:
        """None: only SQLite counts the commits of others."""
        return None

    def check_dump(self, found: Dump, live: Live) -> tuple[str, ...]:
        """
        As ``dump.check_programs``, which has the errors. But if the live database has a view of the
        same name with other SQL, that is only a warning: a migration may have changed it since, and
        other releases of PostgreSQL write it in another way. The view must call only functions that
        are known to be harmless.
        """
        views = {each.name for each in live.programs or () if each.kind == "view"}
        changed = [each for each in found.programs if _is_changed_view(each, views, live)]
        rest = replace(
            found, programs=tuple(each for each in found.programs if each not in changed)
        )
        told = dump.check_programs(rest, live.programs, allow_unknown=conf.allow_unknown_schema)
        if not changed or conf.allow_unknown_schema:
            return told
        names = some([each.name for each in changed])
        return (*told, f"The snapshot has other SQL for the view{plural(changed)} {names}.")

    def migrate_database(self, name: str) -> None:
        """As ``migrate.migrate_database``, which has the limits and the errors."""
        migrate_database(self._alias, name)

    def move(self, source: Path, name: str, **options: Unpack[MoveOptions]) -> Moved:
        """As ``move.move_snapshot``, which has the errors."""
        return move_snapshot(self._alias, source, name, seconds=MOVE_SECONDS, **options)
