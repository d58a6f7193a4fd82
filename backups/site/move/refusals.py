"""What PostgreSQL says when it refuses a step, and whose fault that is."""

import errno
from collections.abc import Iterator

import psycopg

from backups.site.move.answer import FAILED, NO_FAULT, NO_MEMORY, SERVER, Answer

# Classes of SQLSTATE: connection, no resources, an operator, the system, no right.
OF_THE_SERVER = ("08", "53", "57", "58", "28", "3D", "XX")
NO_RIGHT = "42501"
WHOLE_ROW = ("23502", "23514")  # NOT NULL, CHECK: the detail would show secrets of the row
OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM)


def refused(what: str, error: BaseException) -> Answer:
    """The answer after an error. ``what`` says what failed."""
    causes = list(_causes(error))
    said = [each for each in causes if isinstance(each, psycopg.Error)]
    words = words_of(said[-1]) if said else " ".join(str(error).split()).rstrip(".")
    if any(isinstance(each, MemoryError) for each in causes):
        return Answer(NO_MEMORY)
    if said and is_of_the_server(said[-1]):
        return Answer(SERVER, message=f"The database server stopped it: {words}.")
    if any(isinstance(each, OSError) and each.errno in OF_THE_MACHINE for each in causes):
        return Answer(NO_FAULT, message=f"{what}: {words}.")
    return Answer(FAILED, message=f"{what}: {words or type(error).__name__}.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from: Django wraps those of psycopg."""
    while error is not None:
        yield error
        error = error.__cause__


def is_of_the_server(error: psycopg.Error) -> bool:
    """Whether the server is at fault, or the connection to it: not what was sent."""
    state = error.sqlstate or ""
    if not state:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith(OF_THE_SERVER) or state == NO_RIGHT


def words_of(error: psycopg.Error) -> str:
    """Its message and detail, on one line."""
    detail = "" if error.sqlstate in WHOLE_ROW else error.diag.message_detail
    said = [error.diag.message_primary or str(error), detail or ""]
    return ": ".join(" ".join(each.split()).rstrip(".") for each in said if each)
