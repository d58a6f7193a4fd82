"""What PostgreSQL says when it refuses a step, and whose fault that is."""

import re

import psycopg

from backups.site.move.answer import FAILED, SERVER, Answer

_LINE = re.compile(r", line (\d+)")
# Classes of SQLSTATE: connection, no resources, an operator, the system, no right.
OF_THE_SERVER = ("08", "53", "57", "58", "28", "3D", "XX")
NO_RIGHT = "42501"


def cause_of(error: BaseException) -> psycopg.Error | None:
    """What psycopg raised: Django wraps it."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, psycopg.Error):
        found = found.__cause__
    return found


def refused(what: str, error: BaseException) -> Answer:
    """The answer after an error. ``what`` says what failed."""
    cause = cause_of(error)
    if cause is not None and is_of_the_server(cause):
        return Answer(SERVER, message=f"The database server stopped it: {words_of(cause)}.")
    words = words_of(cause) if cause is not None else " ".join(str(error).split())
    return Answer(FAILED, message=f"{what}: {words.rstrip('.')}.")


def is_of_the_server(error: psycopg.Error) -> bool:
    """Whether the server is at fault, or the connection to it: not what was sent."""
    state = error.sqlstate or ""
    if not state:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith(OF_THE_SERVER) or state == NO_RIGHT


def words_of(error: psycopg.Error) -> str:
    """Its message and detail, on one line."""
    said = [error.diag.message_primary or str(error), error.diag.message_detail or ""]
    return ": ".join(" ".join(each.split()).rstrip(".") for each in said if each)


def line_of(error: psycopg.Error) -> int | None:
    """Which row of a COPY it was, from 1."""
    found = _LINE.search(error.diag.context or "")
    return int(found[1]) if found else None
