"""
What the server says when it refuses a step, as one of our errors.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from backups.exceptions import BackupError, DatabaseServerError, NotEnoughSpaceError

FULL = ("53100",)  # disk_full
RIGHTS = (
    "To see which right the site's role lacks: manage.py check --database default, or the name of"
    " another database in DATABASES."
)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """
    Turn an error of the server into one of ours.

    :param what: what was asked for, e.g. ``the database tasks``.
    :raises NotEnoughSpaceError: the server's disk is full.
    :raises DatabaseServerError: any other.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _explain(error, what) from error


def _explain(error: psycopg.Error, what: str) -> BackupError:
    """The error to raise in its place."""
    words = sentence(error)
    if error.sqlstate in FULL:
        return NotEnoughSpaceError(
            f"The disk of the database server is full, so a step for {what} failed: {words}.",
            needed_bytes=0,
            free_bytes=0,
            hint="Free some space on that server's disk, then try again.",
        )
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        # No answer of a server, or its refusal of a connection: libpq gives neither a code.
        return DatabaseServerError(f"There is no connection for {what}: {words}.")
    is_of_rights = isinstance(error, psycopg.errors.InsufficientPrivilege)
    return DatabaseServerError(
        f"The database server refuses a step for {what}: {words}.",
        hint=RIGHTS if is_of_rights else None,
    )


def sentence(error: psycopg.Error) -> str:
    """The server's own message, in one line without a full stop."""
    told = error.diag.message_primary or str(error) or type(error).__name__
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    lines = [line.strip() for line in told.removeprefix("connection failed: ").splitlines()]
    told = " ".join(line for line in lines if line and not line.endswith("?"))  # libpq asks back
    return f"{told.rstrip('.')}{detail.rstrip('.')}"
