"""Let pg_restore fill a database from a dump that was judged, in one transaction."""

from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from backups.disk import files
from backups.exceptions import (
    BackupError,
    DamagedSnapshotError,
    DatabaseServerError,
    NotEnoughSpaceError,
    StoreFolderError,
    UnknownSchemaError,
)
from backups.postgres.dumps import dump
from backups.postgres.running import last_words, run
from backups.postgres.scratch import Scratch, ScratchFile
from backups.postgres.server import Server

COMMENT_ON_EXTENSION = b" COMMENT - EXTENSION "  # as pg_restore lists it
# What pg_restore says of the server, and not of the dump. Its own words are English, and those of
# the server are in the language of lc_messages: see ``_speaks_english``.
FULL = ("No space left on device", "could not extend file", "disk full", "Disk quota exceeded")
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
    "permission denied",
    "temporary file size exceeds",
    "could not write",
    "could not read block",
    "could not read file",
    "could not open file",
    "could not fsync",
    "deadlock detected",
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
        reason = last_words(said) or f"pg_restore ended with {code}"
        raise _error(reason, said, is_english=_speaks_english(server, name, reason))


def _list(path: Path, wanted: ScratchFile, pg_restore: Path, scratch: Scratch) -> None:
    """
    Write which entries of a dump are restored: all but the comments on extensions. Only the
    owner may comment on one, and that is not this role where an administrator made it.
    """
    with scratch.file() as all_of_it:
        words = [str(pg_restore), "--list", f"--file={all_of_it.path}", str(path)]
        code, said = run(words, {})
        if code:  # the dump was read to its end before, so this is the disk of this machine
            raise _not_listed(scratch, last_words(said) or f"pg_restore ended with {code}")
        try:
            with all_of_it.path.open("rb") as lines, wanted.path.open("wb") as file:
                file.writelines(line for line in lines if COMMENT_ON_EXTENSION not in line)
        except OSError as error:
            raise _not_listed(scratch, files.words(error)) from error


def _not_listed(scratch: Scratch, words: str) -> BackupError:
    message = f"The list of what is in the dump can't be written to {scratch.folder}: {words}."
    if any(each in words for each in FULL):
        return NotEnoughSpaceError(
            message, needed_bytes=0, free_bytes=files.free_bytes(scratch.folder)
        )
    return StoreFolderError(message)


def _speaks_english(server: Server, name: str, words: str) -> bool:
    """
    Whether the server's messages are in English for this role in this database: only then do they
    tell whose fault it is, since pg_restore shows no code with them.

    :raises DatabaseServerError: the server can't be asked, so that is why pg_restore has failed.
    """
    try:
        with server.session(name) as connection:
            try:
                connection.execute("SELECT 1 / 0")
            except psycopg.errors.DivisionByZero as error:
                return error.diag.message_primary == "division by zero"
            return False
    except BackupError as error:
        raise _stopped(words) from error


def _error(words: str, said: str, *, is_english: bool) -> BackupError:
    """
    The error of a dump that pg_restore has given up. Nothing of it is in the database.

    :param is_english: whether what the server says can be read. A dump is called damaged only then.
    """
    if any(each in said for each in FULL):
        return NotEnoughSpaceError(
            f"The disk of the database server has no room for the snapshot: {words}.",
            needed_bytes=0,
            free_bytes=0,
            hint="Nothing was staged. Free some space on that server's disk, then try again.",
        )
    if "permission denied to create extension" in said:
        return UnknownSchemaError(
            f"The dump needs an extension that this role may not create: {words}.",
            hint="Nothing was staged. Let an administrator create it in a database of its own, and"
            " name that in BACKUPS_POSTGRES_TEMPLATE.",
        )
    if any(each in said for each in GONE):
        return _stopped(words)
    if not is_english:
        return _stopped(
            words,
            hint="Nothing was staged. The server's messages are not in English, so this app can't"
            " tell whether the dump or the server is at fault, e.g. since its disk is full. Read"
            " the message. Or let an administrator say ALTER ROLE … SET lc_messages = 'C' for the"
            " site's role, then try again.",
        )
    return DamagedSnapshotError(f"The dump can't be restored: {words}.")


def _stopped(words: str, *, hint: str | None = None) -> DatabaseServerError:
    return DatabaseServerError(
        f"The database server did not restore the dump to its end: {words}.", hint=hint
    )
