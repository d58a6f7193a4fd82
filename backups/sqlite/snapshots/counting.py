"""Count the rows of a snapshot while its pages are sent, in the transaction that keeps them."""

import os
import sqlite3
import threading
from contextlib import suppress

from backups.sqlite.format.rows import take_inventory, write_inventory


class Counting:
    """A thread that counts. While it runs, nobody else may use its connection."""

    def __init__(self, connection: sqlite3.Connection, pipe: int) -> None:
        """Begins at once. The result goes into the pipe, which is closed; nothing if it fails."""
        self._connection, self._pipe = connection, pipe
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Wait for its end. The connection may be used again."""
        self._thread.join()

    def stop(self) -> None:
        """Give up, and wait for the end. Call it before the connection is closed."""
        self._connection.interrupt()
        self._thread.join()

    def _run(self) -> None:
        with suppress(sqlite3.Error, OSError), os.fdopen(self._pipe, "wb") as pipe:
            pipe.write(write_inventory(take_inventory(self._connection)))
