"""Whether a scheduled backup is due now, and which ones did not take place."""

import random
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from backups.archive.state import State
from backups.conf import conf
from backups.schedule import cron
from backups.schedule.attempts import Attempt

# A run that begins later than this counts as missed. A restart or a timer causes shorter delays.
GRACE = timedelta(minutes=30)
# If the clock was set back by less than this, the schedule just waits until it has caught up.
CLOCK_ERROR = timedelta(hours=1)


@dataclass(frozen=True)
class Due:
    """A backup that is due."""

    at: datetime | None  # the due time; None without a schedule
    number: int = 1  # 1 for the first try at this due time
    missed: tuple[datetime, ...] = ()  # due times at which no backup took place, newest first


def find_due(now: datetime, state: State, last: Attempt | None) -> Due | None:
    """
    The backup that is due by BACKUPS_SCHEDULE; None if none is. Without a schedule the caller
    decides when, so that one is always due.

    When a schedule is set or changed, its first backup is due at once. However many due times have
    passed, one run makes up for all of them.

    :raises BadScheduleError: BACKUPS_SCHEDULE is not a schedule.
    """
    if not conf.schedule:
        return Due(None)
    due = _begins_by(now)
    if _is_first(now, state, last):
        return Due(cron.last_due(conf.schedule, now))
    assert state.last_due is not None
    if due > state.last_due:
        passed = cron.due_between(conf.schedule, state.last_due, due)
        is_late = now - (due + delay(due)) > GRACE
        return Due(due, missed=_unknown(passed if is_late else passed[1:], now, state))
    if last is not None and last.again_at is not None and last.again_at <= now:
        return Due(last.due, last.number + 1)
    return None


def find_overdue(now: datetime, state: State) -> tuple[datetime, ...]:
    """
    The due times that have passed while a run is still under way, newest first, without those that
    were counted already.

    :raises BadScheduleError: BACKUPS_SCHEDULE is not a schedule.
    """
    if not conf.schedule or state.last_due is None:
        return ()
    due = _begins_by(now - GRACE)
    return _unknown(cron.due_between(conf.schedule, state.last_due, due), now, state)


def next_due(now: datetime, last: Attempt | None) -> datetime | None:
    """
    When the next backup begins, if none is due now; None without a schedule.

    :raises BadScheduleError: BACKUPS_SCHEDULE is not a schedule.
    """
    if not conf.schedule:
        return None
    due, latest = cron.next_due(conf.schedule, now), cron.last_due(conf.schedule, now)
    begins = [due + delay(due), latest + delay(latest)]
    if last is not None and last.again_at is not None:
        begins.append(last.again_at)
    return min(each for each in begins if each > now)


def delay(due: datetime) -> timedelta:
    """How much later this backup begins: at random, but the same in all processes of a machine."""
    seed = f"{socket.gethostname()} {conf.name} {due.isoformat()}"
    return timedelta(seconds=random.Random(seed).uniform(0, conf.schedule_jitter))  # noqa: S311


def schedule_in_force() -> str:
    """The schedule and its time zone, to notice a change of either; empty without a schedule."""
    return f"{conf.schedule} {settings.TIME_ZONE}" if conf.schedule else ""


def _is_first(now: datetime, state: State, last: Attempt | None) -> bool:
    """Whether no run of this schedule is known, or the known one is in the future."""
    if state.last_due is None or state.last_due - now > CLOCK_ERROR:
        return True
    return last is not None and last.schedule not in ("", schedule_in_force())


def _unknown(missed: list[datetime], now: datetime, state: State) -> tuple[datetime, ...]:
    """The missed due times, without those that were counted already."""
    known = state.last_missed
    if known is None or known > now:
        return tuple(missed)
    return tuple(each for each in missed if each > known)


def _begins_by(now: datetime) -> datetime:
    """The last due time whose backup may have begun by now."""
    due = cron.last_due(conf.schedule, now)
    while due + delay(due) > now:
        due = cron.last_due(conf.schedule, due - timedelta(microseconds=1))
    return due
