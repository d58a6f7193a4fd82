"""A transaction that only reads."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def one_moment() -> Iterator[None]:
    """
    Let every query of the block see the database as it is at the first of them.

    Other than ``transaction.atomic``, which takes the write lock here, this keeps nobody from
    writing (https://www.sqlite.org/isolation.html). Within a transaction it does nothing more.
    """
    if connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
