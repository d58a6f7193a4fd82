"""
The names of the databases around a live one, all on its server:

    tasks                                    live
    tasks_backups                            the control database: receipts and state
    tasks_incoming_<random>                  a snapshot on its way in
    tasks_pending_restore                    what the next start puts in place
    tasks_pre_restore_20261126-030000        kept: what was live before a restore
    tasks_refused_20261126-030000            set aside, since it can't be applied
    tasks_going_<random>                     to be dropped

PostgreSQL cuts off names after 63 bytes, so a long name of a live database is shortened.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.disk.timestamp import parse_timestamp, timestamp

MOST_BYTES = 63  # https://www.postgresql.org/docs/current/limits.html
LONGEST_ENDING = len("_pre_restore_20261126-030000-99")
DIGITS = 8  # of the hash of a name that is too long
RANDOM_BYTES = 4


@dataclass(frozen=True)
class Names:
    """The names around one live database."""

    live: str

    @property
    def stem(self) -> str:
        """What the other names begin with: the live one's, shortened if it is too long."""
        room = MOST_BYTES - LONGEST_ENDING
        if len(self.live.encode()) <= room:
            return self.live
        digest = hashlib.sha256(self.live.encode()).hexdigest()[:DIGITS]
        cut = self.live.encode()[: room - DIGITS - 1].decode(errors="ignore")
        return f"{cut}_{digest}"

    @property
    def control(self) -> str:
        """Receipts and state."""
        return f"{self.stem}_backups"

    @property
    def pending(self) -> str:
        """What the next start puts in place."""
        return f"{self.stem}_pending_restore"

    def incoming(self) -> str:
        """A new name for a snapshot on its way in."""
        return f"{self.stem}_incoming_{secrets.token_hex(RANDOM_BYTES)}"

    def going(self) -> str:
        """A new name for a database that is about to be dropped."""
        return f"{self.stem}_going_{secrets.token_hex(RANDOM_BYTES)}"

    def kept(self, moment: datetime, attempt: int = 1) -> str:
        """What was live until this moment."""
        return f"{self.stem}_pre_restore_{timestamp(moment)}" + _number(attempt)

    def refused(self, moment: datetime, attempt: int = 1) -> str:
        """What could not be applied at this moment."""
        return f"{self.stem}_refused_{timestamp(moment)}" + _number(attempt)

    def is_temporary(self, name: str) -> bool:
        """Whether this is the name of an incoming or a going database."""
        pattern = rf"{re.escape(self.stem)}_(incoming|going)_[0-9a-f]{{{2 * RANDOM_BYTES}}}"
        return re.fullmatch(pattern, name) is not None

    def kept_at(self, name: str) -> datetime | None:
        """When a kept database was replaced, UTC; None if this is not the name of one."""
        pattern = rf"{re.escape(self.stem)}_pre_restore_(\d{{8}}-\d{{6}})(?:-\d+)?"
        if (match := re.fullmatch(pattern, name, re.ASCII)) is None:
            return None
        try:
            return parse_timestamp(match[1]).astimezone(UTC)
        except ValueError:
            return None


def _number(attempt: int) -> str:
    return f"-{attempt}" if attempt > 1 else ""
