"""
A time limit for the site's own queries, while this app waits for them.

In a restored database, a view or a generated column may never end. SQLite asks us now and then
whether to go on, so such a query can be ended; its caller gets an OperationalError.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

_limits = threading.local()  # the limit that this thread is under, if any

SECONDS = 10.0  # this app's own queries on the live database take some milliseconds
STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's virtual machine: some milliseconds


@contextmanager
def query_limit(seconds: float | None = None) -> Iterator[Callable[[], bool]]:
    """
    End the queries that still run after that time on the SQLite connections of this thread,
    including those that are opened in this block.

    Yields a function that says whether the time is over.

    :param seconds: by the clock; ``SECONDS`` if it is None.
    """
    end = time.monotonic() + (SECONDS if seconds is None else seconds)
    thread, limited = threading.get_ident(), []
    around: Callable[[], bool] | None = getattr(_limits, "is_over", None)

    def is_over() -> bool:
        return time.monotonic() > end or (around is not None and around())

    def limit(connection: Any, **_: object) -> None:
        raw = connection.connection
        if threading.get_ident() == thread and hasattr(raw, "set_progress_handler"):
            raw.set_progress_handler(is_over, STEPS_BETWEEN_LOOKS)
            limited.append(raw)

    _limits.is_over = is_over
    connection_created.connect(limit, weak=False)
    try:
        for connection in connections.all(initialized_only=True):
            limit(connection)
        yield is_over
    finally:
        _limits.is_over = around
        connection_created.disconnect(limit)
        for raw in limited:
            with suppress(Exception):  # it was closed
                raw.set_progress_handler(around, STEPS_BETWEEN_LOOKS)
