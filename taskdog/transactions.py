"""
Transactions, of the two kinds that this site has: one that writes, and one that only reads.

A writer takes its turn before it reads, so that what it has checked still holds when it writes.
SQLite has that by itself, see ``taskdog.databases``: BEGIN IMMEDIATE. In PostgreSQL a lock stands
for the turn, for which writers of every machine wait; readers do not. Serializable transactions
would do as well, but then each may fail at its end, and has to be tried again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

# Of this site alone in its database: "taskdog" in ASCII. Source: PostgreSQL, advisory locks.
TURN = 0x7461736B646F67
TURN_SECONDS = 30  # to wait for other writers, as with SQLite
LIMIT = "SELECT set_config(%s, %s, true)"  # for the rest of the transaction


@contextmanager
def writing() -> Iterator[None]:
    """
    A transaction that no other one of this kind comes between, from before its first query.

    :raises OperationalError: others were writing for ``TURN_SECONDS``.
    """
    with transaction.atomic():
        if is_postgres():
            _ask(f"{LIMIT}, pg_advisory_xact_lock(%s)", "lock_timeout", f"{TURN_SECONDS}s", TURN)
        yield


@contextmanager
def one_moment() -> Iterator[None]:
    """
    Let every query of the block see the database as it is at the first of them.

    Other than ``writing``, this keeps nobody from writing. Within a transaction it does nothing
    more. Sources: https://www.sqlite.org/isolation.html; PostgreSQL, Repeatable Read.
    """
    if connection.in_atomic_block:
        yield
        return
    if is_postgres():
        with transaction.atomic():
            _ask("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    _ask("BEGIN DEFERRED")
    try:
        yield
    finally:
        _ask("ROLLBACK")


def is_postgres() -> bool:
    """Whether the rows are in PostgreSQL."""
    return connection.vendor == "postgresql"


def limit(setting: str, seconds: float) -> None:
    """Let what PostgreSQL does in this transaction end after a time."""
    _ask(LIMIT, setting, f"{seconds:g}s")


def _ask(statement: str, *values: str | int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
