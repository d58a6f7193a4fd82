"""Let pg_restore fill a database from a dump that was judged, in one transaction."""

from collections.abc import Callable
from pathlib import Path

from psycopg.conninfo import make_conninfo

from backups.exceptions import (
    BackupError,
    DamagedSnapshotError,
    DatabaseServerError,
    NotEnoughSpaceError,
    UnknownSchemaError,
)
from backups.postgres.dumps import dump
from backups.postgres.scratch import Scratch, ScratchFile
from backups.postgres.server import Server
from backups.postgres.snapshots import last_words, run

COMMENT_ON_EXTENSION = b" COMMENT - EXTENSION "  # as pg_restore lists it
# What pg_restore says of the server, and not of the dump.
FULL = ("No space left on device", "could not extend file", "disk full")
GONE = (
    "server closed the connection",
    "terminating connection",
    "connection to server",
    "could not connect",
    "the database system is",
    "out of memory",
    "out of shared memory",
    "canceling statement",
    "read-only transaction",  # a standby, or somebody's setting
)


def restore_dump(
    path: Path,
    name: str,
    owner: str,
    *,
    pg_restore: Path,
    server: Server,
    scratch: Scratch,
    watch: Callable[[], None] | None,
) -> None:
    """
    Restore all of it.

    :param name: of the empty database.
    :param owner: the role that is to own what is in it.
    :param watch: called now and then; if it raises, pg_restore is ended.
    :raises BackupError: it failed. Nothing of the dump is in the database.
    """
    with scratch.file() as wanted:
        _list(path, wanted, pg_restore, scratch)
        words = [
            str(pg_restore),
            "--single-transaction",
            "--exit-on-error",
            *dump.OPTIONS,  # what they leave out was not judged
            "--no-password",
            f"--role={owner}",
            f"--use-list={wanted.path}",
            f"--dbname={make_conninfo(dbname=name)}",
            str(path),
        ]
        # Without a limit: a good one may take hours, and nothing in it can loop for ever.
        code, said = run(words, server.environment(name), watch=watch)
    if code:
        raise _error(said, code)


def _list(path: Path, wanted: ScratchFile, pg_restore: Path, scratch: Scratch) -> None:
    """
    Write which entries of a dump are restored: all but the comments on extensions. Only the
    owner may comment on one, and that is not this role where an administrator made it.
    """
    with scratch.file() as all_of_it:
        words = [str(pg_restore), "--list", f"--file={all_of_it.path}", str(path)]
        code, said = run(words, {})
        if code:
            raise _error(said, code)
        with all_of_it.path.open("rb") as lines, wanted.path.open("wb") as file:
            file.writelines(line for line in lines if COMMENT_ON_EXTENSION not in line)


def _error(said: str, code: int) -> BackupError:
    """The error of a dump that pg_restore has given up. Nothing of it is in the database."""
    words = last_words(said) or f"pg_restore ended with {code}"
    if any(each in said for each in FULL):
        return NotEnoughSpaceError(
            f"The disk of the database server has no room for the snapshot: {words}.",
            needed_bytes=0,
            free_bytes=0,
            hint="Nothing was staged. Free some space on that server's disk, then try again.",
        )
    if any(each in said for each in GONE):
        return DatabaseServerError(
            f"The database server did not restore the dump to its end: {words}."
        )
    if "permission denied to create extension" in said:
        return UnknownSchemaError(
            f"The dump needs an extension that this role may not create: {words}.",
            hint="Nothing was staged. Let an administrator create it in a database of its own, and"
            " name that in BACKUPS_POSTGRES_TEMPLATE.",
        )
    return DamagedSnapshotError(f"The dump can't be restored: {words}.")
