"""
The second half of a restore: two renames, the receipt and the state, in one transaction.

    <name>                  ─▶ <name>_pre_restore_<time>
    <name>_pending_restore  ─▶ <name>

Invariants, which hold whatever is killed, and whenever: a database of the live name is there, with
the old content or with the new; the old content is kept, with every committed row; the receipt says
what happened. The server itself makes it so: all of it is one transaction.

A rename waits until nobody is connected to the database, and lets nobody connect until the
transaction ends. So no row is committed to the old database after it was replaced.

Source: https://www.postgresql.org/docs/current/sql-alterdatabase.html
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import psycopg

from backups.exceptions import (
    BackupError,
    NeedsRestartError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.postgres import databases
from backups.postgres.control import Control
from backups.postgres.kept import Keeping
from backups.postgres.manifest import Manifest, receipt_of
from backups.postgres.pending import lock_pending, put
from backups.postgres.records import add_receipt, read_receipts
from backups.postgres.refusals import sentence
from backups.postgres.server import Connection
from backups.store import Receipt

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.02  # between two looks for sessions to end


@dataclass(frozen=True)
class Applying:
    """How what is pending takes the place of what is live."""

    control: Control
    keeping: Keeping

    def when_nobody_is_connected(self, manifest: Manifest, *, began: float) -> Receipt:
        """
        Apply it at a start.

        :raises RestoreBlockedError: somebody is connected, or another snapshot is pending now.
        :raises BackupError: the server refuses.
        """
        live = self.control.names.live
        with self.control.session(name="backups: apply") as connection:
            if who := databases.who_is_connected(connection, live):
                raise RestoreBlockedError(
                    f"The database {live} is in use by {who}. No process of the site is present,"
                    " so a pooler keeps this open, or somebody looks into it: manage.py restore_db"
                    " --now ends such sessions, and applies it."
                )
        return self._swap(manifest, began=began, by=None)

    def now(self, manifest: Manifest, *, by: str) -> Receipt:
        """
        Apply it while the site runs: whoever is connected is disconnected.

        :raises NeedsRestartError: a session can't be ended, e.g. since it is another role's.
        :raises NoPendingRestoreError: nothing is pending any more.
        :raises RestoreBlockedError: another snapshot is pending now.
        """
        began = time.monotonic()
        with _ending_sessions(self.control):
            return self._swap(manifest, began=began, by=by)

    def _swap(self, manifest: Manifest, *, began: float, by: str | None) -> Receipt:
        number = str(uuid.uuid4())  # of the receipt, by which it can be found again
        try:
            receipt, going = self._swap_in_one_transaction(manifest, number, began, by)
        except BackupError as error:
            found = self._find_receipt(number) if isinstance(error.__cause__, _LOST) else None
            if found is None:
                raise
            receipt, going = found, []  # it was committed, and only the answer was lost
        databases.drop_if_possible(self.control, *going)
        return receipt

    def _swap_in_one_transaction(
        self, manifest: Manifest, number: str, began: float, by: str | None
    ) -> tuple[Receipt, list[str]]:
        names, going = self.control.names, dict[str, str]()
        with self.control.transaction() as connection:
            lock_pending(connection, manifest)
            if not databases.exists(connection, names.pending):
                raise RestoreRefusedError(f"The database {names.pending} is gone.")
            now, kept = datetime.now(UTC), None
            if databases.exists(connection, names.live):
                going = {
                    name: names.going()
                    for name in self.keeping.choose(self.control, connection, now=now)
                    if name != manifest.undoes and not databases.who_is_connected(connection, name)
                }
                self._let_go(connection, going)
                kept = databases.free_name(connection, partial(names.kept, now))
                with _naming_sessions(self.control, names.live):
                    databases.rename(connection, names.live, kept)
            with _naming_sessions(self.control, names.pending):
                databases.rename(connection, names.pending, names.live)
            put(connection, None)
            receipt = receipt_of(
                now,
                "applied",
                manifest.fails or "",
                manifest,
                number=number,
                kept=kept,
                seconds=time.monotonic() - began,
                by=by,
                removed=tuple(going),
            )
            add_receipt(connection, receipt)
        return receipt, list(going.values())

    def _let_go(self, connection: Connection, going: dict[str, str]) -> None:
        """
        Rename the kept databases that go, except those in use. This comes before the live one is
        locked, so nobody waits for it.
        """
        for name, new in list(going.items()):
            try:
                with connection.transaction():
                    databases.rename(connection, name, new)
            except databases.IN_USE as error:
                logger.warning("%s stays, since it is in use: %s", name, sentence(error))
                del going[name]

    def _find_receipt(self, number: str) -> Receipt | None:
        """
        The receipt of a transaction that may have been committed; None if it was not.

        :raises BackupError: the server does not answer, so nobody knows.
        """
        with self.control.session() as connection:
            return next((each for each in read_receipts(connection) if each.id == number), None)


_LOST = (psycopg.OperationalError, psycopg.InterfaceError)


def _naming_sessions(control: Control, name: str) -> AbstractContextManager[None]:
    return databases.naming_sessions(
        control,
        name,
        NeedsRestartError,
        hint="It stays pending. End that session, then try again, or restart the server.",
    )


@contextmanager
def _ending_sessions(control: Control) -> Iterator[None]:
    """
    End the sessions in the live database while the block runs: all that the site's role may end.

    :raises BackupError: the server can't be reached.
    """
    live, is_over = control.names.live, threading.Event()

    def go_on(connection: Connection) -> None:
        while not is_over.wait(LOOK_SECONDS):
            try:
                databases.end_sessions(connection, live)
            except psycopg.Error as error:
                logger.warning("sessions could not be ended: %s", error)
                return

    with control.session(name="backups: apply") as connection:
        databases.end_sessions(connection, live)
        thread = threading.Thread(target=go_on, args=(connection,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
