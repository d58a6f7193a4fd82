"""
The first half of a restore: receive a snapshot, fill a database of its own with it, and judge it.

    chunks ─▶ a scratch file here ─▶ <name>_incoming_<random> ─▶ judged, migrated
           ─▶ <name>_pending_restore                              (pending.py)

Nothing here changes the live database. After an error nothing of the snapshot stays. Each statement
of a dump is judged before any runs (dumps/). A SQLite snapshot is checked as on a site on SQLite,
and its rows are moved (site/move/).
"""

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backups.exceptions import (
    InvalidSnapshotError,
    NotADatabaseError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.postgres import contents, databases
from backups.postgres.control import Control
from backups.postgres.dumps import dump
from backups.postgres.judging import compare, known_migrations
from backups.postgres.manifest import Manifest
from backups.postgres.new_database import incoming_database
from backups.postgres.programs import Programs, check_can_restore
from backups.postgres.receiving import Arrived, receive
from backups.postgres.restoring import restore_dump
from backups.postgres.rights import check_role, warn_of_rights, warn_of_settings
from backups.postgres.scratch import Scratch, ScratchFile
from backups.postgres.site import Site
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.check import check_snapshot as check_sqlite
from backups.sqlite.format.header import MAGIC
from backups.sqlite.site import Live
from backups.store import DEFECTS, Inventory, Tell

NO_BYTES = ""  # for the SHA-256 of a database that is copied by the server


@dataclass(frozen=True)
class Incoming:
    """A snapshot in a database of its own, judged and migrated."""

    database: str
    manifest: Manifest
    came: Inventory | None  # as it came, if it was counted
    seconds: float


@dataclass(frozen=True)
class Staging:
    """
    What one snapshot has to pass. Other parameters are those of ``BackupStore.prepare_restore``.

    :param floor: how many bytes of this machine's disk stay free for the site.
    :param is_counted: count the rows as they came.
    """

    control: Control
    programs: Programs
    scratch: Scratch
    site: Site
    check_seconds: float
    floor: int
    staged_by: str
    max_bytes: int = 0
    at_least: int = 0
    account: str | None = None
    accept: Collection[str] = ()
    watch: Callable[[], None] | None = None
    on_received: Callable[[], None] = lambda: None
    tell: Tell = field(default=lambda *_: None)
    is_counted: bool = False

    @contextmanager
    def of_upload(self, chunks: Iterable[bytes]) -> Iterator[Incoming]:
        """Receive an upload, and judge it. Its database is there for the block."""
        began = time.monotonic()
        self._check_server()
        with incoming_database(self.control) as name:
            with self.scratch.file() as file:
                arrived = receive(
                    chunks,
                    file,
                    max_bytes=self.max_bytes,
                    at_least=self.at_least,
                    floor=self.floor,
                )
                self.on_received()
                live = self.site.read_live()
                warnings = self._bring_in(file, arrived, name, live)
            warnings += warn_of_rights(self.control, seconds=self.check_seconds)
            yield self._judge(name, arrived, live, warnings, began)

    @contextmanager
    def of_kept(self, kept: str) -> Iterator[Incoming]:
        """
        Copy a kept database, and judge the copy, which is there for the block. The site ran with
        it, so a fault is only a warning: if it can't be migrated, it is put back as it was.
        """
        began = time.monotonic()
        self._check_server()
        self.on_received()
        with ExitStack() as stack:
            incoming = None
            try:
                incoming = stack.enter_context(self._copy_of_kept(kept, began))
            except (RestoreRefusedError, InvalidSnapshotError) as error:
                fails = str(error)
            if incoming is None:
                incoming = stack.enter_context(self._copy_of_kept(kept, began, fails=fails))
            yield incoming

    @contextmanager
    def _copy_of_kept(
        self, kept: str, began: float, *, fails: str | None = None
    ) -> Iterator[Incoming]:
        with incoming_database(self.control, template=kept) as name:
            with self.control.session() as connection:
                arrived = Arrived(databases.size_of(connection, name), NO_BYTES, b"")
            yield self._judge(name, arrived, Live(), [], began, undoes=kept, fails=fails)

    def _check_server(self) -> None:
        with self.control.session(name="backups: staging") as connection:
            check_role(connection, self.control.names.live)
            check_can_restore(self.programs, connection.info.server_version // 10_000)

    # Bring it in

    def _bring_in(self, file: ScratchFile, arrived: Arrived, name: str, live: Live) -> list[str]:
        """Fill the new database. Returns warnings."""
        if dump.is_dump(arrived.head):
            return self._restore(file.path, name, live)
        if arrived.head.startswith(MAGIC):
            return self._move(file, arrived, name, live)
        raise NotADatabaseError(
            "The file is empty."
            if not arrived.size
            else "The file is neither a dump of PostgreSQL in its custom format nor a SQLite"
            " database.",
            hint="Nothing was staged. Send a file that came from this site's backup. A dump that"
            " you took yourself must come from pg_dump --format=custom.",
        )

    def _restore(self, path: Path, name: str, live: Live) -> list[str]:
        self.tell("checking", 0, None)
        found = dump.read_dump(
            path, pg_restore=self.programs.pg_restore, seconds=self.check_seconds, watch=self.watch
        )
        warnings = self.site.check_dump(found, live)
        self.tell("restoring", 0, None)
        with self.control.session() as connection:
            owner = databases.owner_of(connection, name)
        restore_dump(
            path,
            name,
            owner,
            pg_restore=self.programs.pg_restore,
            server=self.control.server,
            scratch=self.scratch,
            watch=self.watch,
        )
        return list(warnings)

    def _move(self, file: ScratchFile, arrived: Arrived, name: str, live: Live) -> list[str]:
        """Check it as a site on SQLite would, and move what is in it. Returns warnings."""
        self.tell("checking", 0, None)
        found = check_sqlite(
            file.descriptor,
            file.path,
            seconds=self.check_seconds,
            site=self.site,
            live=Live(live.migrations),
            sha256=arrived.sha256,
            clear=self.site.session_tables(),
            # The move names rows that break a rule of the schema, with all else that does not fit.
            acceptance=Acceptance({*self.accept, DEFECTS}),
            watch=self.watch,
        )
        with _staging_nothing():
            moved = self.site.move(
                file.path, name, applied=found.migrations, watch=self.watch, tell=self.tell
            )
        return [*found.warnings, *moved.warnings]

    # Judge it

    def _judge(
        self,
        name: str,
        arrived: Arrived,
        live: Live,
        warnings: list[str],
        began: float,
        undoes: str | None = None,
        fails: str | None = None,
    ) -> Incoming:
        """Compare it with the installed code, empty the tables of sessions, and migrate."""
        with self.control.server.session(
            name, name="backups: staging", seconds=self.check_seconds
        ) as connection:
            found = contents.read_contents(connection)
            came = contents.take_inventory(connection) if self.is_counted else None
            if undoes is None:
                warnings += compare(found, live, site=self.site, accept=self.accept)
            contents.empty(connection, self.site.session_tables())
            if self.account is not None and not contents.has_account(
                connection, *self.site.account_column(), self.account
            ):
                warnings.append(
                    f"The account {self.account} is not in the snapshot: it can't log in once this"
                    " is applied."
                )
        warnings += warn_of_settings(self.control, name)
        if fails is not None:
            warnings.append(f"It is put back as it was, since it could not be migrated: {fails}")
        missing = self.site.plan(found.migrations) if fails is None else ()
        if missing:
            self.tell("migrating", 0, None)
            with _staging_nothing():
                self.site.migrate_database(name)
            with self.control.server.session(name) as connection:
                found = contents.read_contents(connection)
        with self.control.server.session(name, name="backups: staging") as connection:
            connection.execute("ANALYZE")  # without it the first queries could be slow
        manifest = Manifest(
            id=str(uuid.uuid4()),
            size=arrived.size,
            sha256=arrived.sha256,
            staged_at=datetime.now(UTC),
            staged_by=self.staged_by,
            migrations=found.migrations,
            historic=(
                known_migrations(found, live, self.site) if undoes is None else found.migrations
            ),
            migrated=missing,
            warnings=tuple(dict.fromkeys(warnings)),
            undoes=undoes,
            fails=fails,
            taken_at=None if undoes is None else self.control.names.kept_at(undoes),
        )
        return Incoming(name, manifest, came, time.monotonic() - began)


@contextmanager
def _staging_nothing() -> Iterator[None]:
    """Nothing is pending yet, so an error that leaves a restore pending needs another hint here."""
    try:
        yield
    except RestoreBlockedError as error:
        hint = "Nothing was staged. Correct that, then stage the snapshot again."
        raise type(error)(str(error), hint=hint) from error
