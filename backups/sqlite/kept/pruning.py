"""
Which kept copies are removed when a restore has made another one: the oldest, but no young ones.

A copy is young for a number of days. The time in its name is from a clock that may have been wrong.
So it counts as no earlier than any receipt before it, and a copy from the future, or from before
the clock was set, stays: nothing is removed in doubt.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backups.disk import files
from backups.disk.sizes import size_in_words
from backups.sqlite.folder.paths import SIDECARS, StorePaths
from backups.sqlite.kept.keep import kept_copies
from backups.sqlite.kept.raw_copies import remove_folder
from backups.sqlite.records.receipts import read_receipts
from backups.store import Receipt

CLOCK_WAS_SET = datetime(2000, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970 or 1980
CHUNK_BYTES = 1024**2
MOST_COMPARED = 1024**3  # bytes; a start must not wait long: larger copies count as different
MOST_NAMED = 3  # of the copies that an error names


@dataclass(frozen=True)
class Keeping:
    """How many kept copies stay after a restore, and how long at least."""

    copies: int  # of different content, the newest; 0 for all
    days: int

    def choose(
        self, paths: StorePaths, receipts: list[Receipt], *, but: str | None, now: datetime
    ) -> list[Path]:
        """
        The copies to remove, the oldest first. Reads only.

        :param receipts: all of them, the oldest first.
        :param but: the name of a copy that stays, and counts too.
        :raises OSError: a copy can't be read.
        """
        order = kept_copies(paths, receipts)
        order.sort(key=lambda kept: kept.name == but)  # last, whatever a clock said
        old = {
            kept
            for kept, until in self.stay_until(paths, receipts, now=now).items()
            if kept.name != but and until is not None and (not self.days or until <= now)
        }
        if not old or len(order) <= self.copies:
            return []
        counted: list[Path] = []
        going = []
        for kept in reversed(order):
            if any(_are_same(kept, other) for other in counted):
                is_wanted = False
            else:
                is_wanted = kept not in old or len(counted) < self.copies
                counted += [kept] * is_wanted
            if kept in old and not is_wanted:
                going.append(kept)
        return going[::-1]

    def stay_until(
        self, paths: StorePaths, receipts: list[Receipt], *, now: datetime
    ) -> dict[Path, datetime | None]:
        """When each copy may be removed, UTC; None: only by hand. Reads only."""
        copies = paths.pre_restores()
        if not self.copies:
            return dict.fromkeys(copies)
        if not self.days:
            return {kept: paths.kept_at(kept) for kept in copies}
        before = dict(_latest_before(receipts, now))
        return {
            kept: None
            if _is_doubtful(paths, kept, now)
            else max(paths.kept_at(kept), before.get(kept.name, CLOCK_WAS_SET))
            + timedelta(days=self.days)
            for kept in copies
        }


def remove(paths: StorePaths, copies: list[Path]) -> None:
    """
    Remove kept copies, with the sidecars that a program left beside one.

    :raises OSError: one can't be removed; those after it stay.
    """
    for kept in copies:
        if kept.is_dir():
            remove_folder(paths, kept)
        else:
            files.unlink(kept)
            for suffix in SIDECARS:
                files.unlink(kept.with_name(kept.name + suffix))


def room_hint(paths: StorePaths) -> str:
    """What to do on a full disk: names the kept copies that can be removed by hand."""
    hint = "Free some space on that disk, then try again."
    with suppress(OSError):
        older = kept_copies(paths, read_receipts(paths))[:-1]
        named = [f"{kept.name} ({size_in_words(size_of(kept))})" for kept in older]
        if named:
            more = f" and {len(named) - MOST_NAMED} more" * (len(named) > MOST_NAMED)
            hint += (
                f" In {paths.folder}, these hold what earlier restores replaced, and can be removed"
                f" if nobody needs them: {', '.join(named[:MOST_NAMED])}{more}."
            )
    return hint


def size_of(kept: Path) -> int:
    """The bytes of a kept copy, which may be a folder."""
    if kept.is_dir():
        return sum(file.stat().st_size for file in kept.iterdir())
    return kept.stat().st_size


def _latest_before(receipts: list[Receipt], now: datetime) -> Iterator[tuple[str, datetime]]:
    """For each copy that a receipt names, the latest time of the receipts up to that receipt."""
    latest = CLOCK_WAS_SET
    for receipt in receipts:
        if receipt.at <= now:
            latest = max(latest, receipt.at)
        if receipt.outcome == "applied" and receipt.kept:
            yield receipt.kept, latest


def _is_doubtful(paths: StorePaths, kept: Path, now: datetime) -> bool:
    """Whether a clock was wrong when it was made or written to, or is wrong now."""
    with suppress(FileNotFoundError):
        is_odd = not 0 <= kept.stat().st_mtime <= now.timestamp()
        return is_odd or not CLOCK_WAS_SET <= paths.kept_at(kept) <= now
    return False


def _are_same(one: Path, other: Path) -> bool:
    """Whether they are equal byte for byte. Most differ in the first page, by SQLite's counters."""
    if not (one.is_file() and other.is_file()):
        return False
    if not size_of(one) == size_of(other) <= MOST_COMPARED:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(CHUNK_BYTES):
            if chunk != right.read(CHUNK_BYTES):
                return False
    return True
