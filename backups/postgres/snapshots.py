"""
A snapshot: what pg_dump writes in its custom format, whole on the disk before its first byte goes.

It sees the database as it is at one moment, while others write. The same moment is counted for the
manifest: the rows are counted in a transaction whose snapshot pg_dump is given.

Source: https://www.postgresql.org/docs/current/app-pgdump.html
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.disk import files
from backups.exceptions import (
    BackupError,
    BackupNotSupportedError,
    DatabaseServerError,
    NotEnoughSpaceError,
    SnapshotFailedError,
)
from backups.postgres.contents import list_tables, take_inventory
from backups.postgres.programs import Programs
from backups.postgres.running import last_words, run
from backups.postgres.scratch import Scratch
from backups.postgres.server import Connection, Server, is_over
from backups.store import Inventory, Snapshot

METHOD = "dump"
NO_SERVER = ("connection to server", "server closed the connection")  # as libpq says it
LEAST_ROOM = 64 * 1024  # bytes: pg_dump could not even write so much


class DumpSnapshot(Snapshot):
    """A dump in a file without a name."""

    method = METHOD

    def __init__(self, descriptor: int, taken_at: datetime, inventory: Inventory | None) -> None:
        """Takes over the descriptor."""
        self._descriptor: int | None = descriptor
        self.size = os.fstat(descriptor).st_size
        self.taken_at = taken_at
        self.inventory = inventory

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while at < self.size:
            assert self._descriptor is not None, "it is closed"
            try:
                chunk = os.pread(self._descriptor, files.CHUNK_BYTES, at)
            except OSError as error:
                raise SnapshotFailedError(
                    f"The dump can't be read back: {error.strerror}."
                ) from error
            if not chunk:
                raise SnapshotFailedError("The dump on this machine's disk has become shorter.")
            at += len(chunk)
            yield chunk

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@dataclass(frozen=True)
class Dumping:
    """How a database is dumped."""

    server: Server
    database: str
    programs: Programs
    scratch: Scratch
    floor: int  # bytes of this machine's disk that stay free
    without: Collection[str] = ()  # tables whose rows are left out: of login sessions

    def take(self, *, with_inventory: bool) -> DumpSnapshot:
        """
        Dump it.

        :raises SnapshotFailedError: pg_dump fails.
        :raises NotEnoughSpaceError: this machine's disk has no room for it.
        :raises DatabaseServerError: the server can't be asked.
        """
        with self.server.session(self.database, name="backups: snapshot") as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._check_contents(connection)
            taken_at = datetime.now(UTC)
            (moment,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
            descriptor = self.scratch.nameless()
            try:
                self._run(connection, descriptor, self._arguments(connection, moment))
                inventory = take_inventory(connection) if with_inventory else None
                return DumpSnapshot(descriptor, taken_at, inventory)
            except BaseException:
                os.close(descriptor)
                raise

    def _check_contents(self, connection: Connection) -> None:
        """:raises BackupNotSupportedError: it has what no restore of this app takes."""
        query = "SELECT count(*) FROM pg_largeobject_metadata"
        (number,) = connection.execute(query).fetchone() or (0,)
        if number:
            raise BackupNotSupportedError(
                f"The database {self.database} has {number:,} large objects (of lo_create), which"
                " this app can't restore.",
                hint="Keep files in Django's storage, or in columns of the type bytea.",
            )

    def _arguments(self, connection: Connection, moment: str) -> list[str]:
        left_out = [each for each in list_tables(connection) if each.name in self.without]
        return [
            str(self.programs.pg_dump),
            "--format=custom",
            "--compress=0",  # it may be compressed on its way, by what the client can unpack
            "--no-owner",
            "--no-privileges",
            "--no-password",
            "--no-sync",
            "--encoding=UTF8",  # so that its texts can be judged
            f"--snapshot={moment}",
            *(
                f"--exclude-table-data={_pattern(t.schema)}.{_pattern(t.relation)}"
                for t in left_out
            ),
        ]

    def _run(self, connection: Connection, descriptor: int, words: list[str]) -> None:
        # By a name: to its standard output pg_dump 18 appends, even what it means to overwrite.
        words = [*words, f"--file=/dev/fd/{descriptor}"]

        def look(needed: int = 0) -> None:
            folder = self.scratch.folder
            if not files.has_room(folder, self.floor + needed):
                free = files.free_bytes(folder)
                raise NotEnoughSpaceError(
                    f"There is no room in {folder} for the rest of the snapshot, after"
                    f" {os.fstat(descriptor).st_size:,} bytes: {free:,} are free, and"
                    f" {self.floor:,} stay free for the site (BACKUPS_KEEP_FREE_BYTES).",
                    needed_bytes=os.fstat(descriptor).st_size,
                    free_bytes=free,
                )

        code, said = run(
            words, self.server.environment(self.database), keep=(descriptor,), watch=look
        )
        if code:
            look(LEAST_ROOM)  # a full disk is this machine's, whatever the words are
            raise _error(connection, last_words(said) or f"it ended with {code}")


def _error(connection: Connection, words: str) -> BackupError:
    """Why pg_dump has failed. Our own session ends too if the server does, or all are ended."""
    if is_over(connection) or any(each in words for each in NO_SERVER):
        return DatabaseServerError(
            f"The database server ended or refused the session of the snapshot: {words}."
        )
    return SnapshotFailedError(f"pg_dump failed: {words}.")


def _pattern(name: str) -> str:
    """A name in psql's pattern language, taken literally."""
    return '"' + name.replace('"', '""') + '"'
