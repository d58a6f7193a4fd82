"""
The kept databases: what was live before each restore. They go by the same rules as the kept copies
of SQLite: if there are too many the oldest go, but none that is younger than so many days.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backups.postgres import databases
from backups.postgres.control import Control
from backups.postgres.records import read_receipts
from backups.postgres.server import Connection
from backups.store import KeptCopy

CLOCK_WAS_SET = datetime(2000, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970 or 1980


@dataclass(frozen=True)
class Keeping:
    """How many kept databases stay after a restore, and how long at least."""

    copies: int  # the newest; 0 for all
    days: int

    def choose(self, control: Control, connection: Connection, *, now: datetime) -> list[str]:
        """Those that go when one more is made, the oldest first. Reads only."""
        kept = list_kept(control, connection)
        if not self.copies or len(kept) < self.copies:
            return []
        going = kept[self.copies - 1 :]  # one place is for the new one
        return [name for name, at in reversed(going) if self._is_old(at, now)]

    def stays_until(self, at: datetime) -> datetime | None:
        """When a database kept then may go; None: only by hand."""
        return at + timedelta(days=self.days) if self.copies else None

    def _is_old(self, at: datetime, now: datetime) -> bool:
        """False in doubt, so that it stays: a clock was wrong, or is wrong now."""
        return CLOCK_WAS_SET <= at <= now - timedelta(days=self.days)


def list_kept(control: Control, connection: Connection) -> list[tuple[str, datetime]]:
    """Each kept database and when it was kept, the newest first."""
    found = [
        (name, at)
        for name in databases.list_names(connection, control.names.stem)
        if (at := control.names.kept_at(name)) is not None
    ]
    # The receipts are in the order of the restores, even if a clock was set back.
    order = [each.kept for each in read_receipts(connection) if each.outcome == "applied"]
    place = {name: number for number, name in reversed(list(enumerate(order)))}
    return sorted(found, key=lambda each: (place.get(each[0], len(order)), -each[1].timestamp()))


def describe_kept(control: Control, connection: Connection, keeping: Keeping) -> list[KeptCopy]:
    """What there is to say of each kept database, the newest first."""
    return [
        KeptCopy(
            name=name,
            size=databases.size_of(connection, name),
            kept_at=at,
            is_database=True,
            stays_until=keeping.stays_until(at),
        )
        for name, at in list_kept(control, connection)
    ]


def kept_by_last(control: Control, connection: Connection) -> str | None:
    """The kept database of the last restore that was applied; None if it is gone, or none was."""
    last = next((each for each in read_receipts(connection) if each.outcome == "applied"), None)
    if last is None or last.kept is None or not databases.exists(connection, last.kept):
        return None
    return last.kept
