"""What is remembered of the last scheduled run: whether it is under way, and when to try again."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backups import services

KEY = "schedule"  # in what the store remembers
FIRST_PAUSE = timedelta(minutes=10)  # after the first failure; twice as long after each other one

UNDER_WAY, DONE, FAILED = "under way", "done", "failed"


@dataclass(frozen=True)
class Attempt:
    """One try at a scheduled backup."""

    schedule: str  # the expression and the time zone that made it due; empty without one
    due: datetime | None  # when it was due; None without a schedule
    number: int  # 1 for the first try at that due time
    began_at: datetime
    outcome: str = UNDER_WAY
    ended_at: datetime | None = None
    is_final: bool = False  # another try would not help

    @property
    def again_at(self) -> datetime | None:
        """When to try again; None if not before the next due time."""
        if self.outcome != FAILED or self.due is None or self.is_final or self.ended_at is None:
            return None
        return self.ended_at + FIRST_PAUSE * (1 << (self.number - 1))


def last_attempt(*, database: str | None = None) -> Attempt | None:
    """The last attempt; None if there was none. Reads only."""
    words = _remembered(services.get_store(database).recall()).get("attempt")
    if not isinstance(words, dict):
        return None
    try:
        times: dict[str, Any] = {
            name: datetime.fromisoformat(words[name]).astimezone(UTC) if words.get(name) else None
            for name in ("due", "began_at", "ended_at")
        }
        return Attempt(**{**words, **times, "number": int(words["number"])})
    except (ValueError, TypeError, KeyError, OverflowError):  # the file was changed by hand
        return None


def remember(attempt: Attempt, *, database: str | None = None) -> None:
    """Remember the last attempt. :raises StoreFolderError: it can't be written."""
    _change("attempt", _words(attempt), database)


def last_tried(*, database: str | None = None) -> datetime | None:
    """When a scheduled run last verified a snapshot, whatever it found. Reads only."""
    moment = _remembered(services.get_store(database).recall()).get("tried_at")
    try:
        return datetime.fromisoformat(moment).astimezone(UTC) if moment else None
    except (ValueError, TypeError, OverflowError):  # the file was changed by hand
        return None


def remember_tried(moment: datetime, *, database: str | None = None) -> None:
    """
    Note when a scheduled run verified a snapshot.

    :raises StoreFolderError: it can't be written.
    """
    _change("tried_at", moment.isoformat(), database)


def _change(name: str, value: object, database: str | None) -> None:
    with services.get_store(database).remember() as state:
        state[KEY] = _remembered(state) | {name: value}


def _remembered(state: dict[str, Any]) -> dict[str, Any]:
    found = state.get(KEY)
    return found if isinstance(found, dict) else {}


def _words(attempt: Attempt) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(attempt).items()
    }
