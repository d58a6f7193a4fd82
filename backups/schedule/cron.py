"""
When a backup is due: a cron expression, in the site's time zone.

At the changes of daylight saving time, cronsim follows the rules of cron. A backup that is due at
2:30 is due once in autumn, when 2:30 comes twice, and at 3:00 in spring, when 2:30 does not come.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.conf import settings

from backups.exceptions import BadScheduleError

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
FIELDS = 5  # cronsim also takes seconds, which cron does not know
LONGEST_CHANGE = timedelta(hours=2)  # the most that a clock is set back in autumn
MOST_COUNTED = 10_000  # missed due times: a week of a schedule that is due every minute


def next_due(expression: str, after: datetime) -> datetime:
    """The first due time after this moment, in UTC. :raises BadScheduleError: not a schedule."""
    return next(each for each in _due(expression, after) if each > after)


def last_due(expression: str, now: datetime) -> datetime:
    """The last due time until this moment, in UTC. :raises BadScheduleError: not a schedule."""
    return next(_back_from(expression, now))


def due_between(expression: str, first: datetime, last: datetime) -> list[datetime]:
    """The due times after the first moment and until the last one, newest first; at most 10,000."""
    found: list[datetime] = []
    for due in _back_from(expression, last):
        if due <= first or len(found) == MOST_COUNTED:
            break
        found.append(due)
    return found


def explain(expression: str) -> str:
    """In words: ``At 03:00 every day``. :raises BadScheduleError: not a schedule."""
    return str(_schedule(expression, datetime.now(UTC)).explain())


def zone() -> tzinfo:
    """The site's time zone; the machine's own if TIME_ZONE names none."""
    name = settings.TIME_ZONE
    own = datetime.now().astimezone().tzinfo
    assert own is not None
    return ZoneInfo(name) if name else own


def _back_from(expression: str, moment: datetime) -> Iterator[datetime]:
    """
    The due times until this moment, newest first.

    Cronsim goes by the clock on the wall. On an autumn night 2:15 comes twice. At the second 2:15
    the clock is before 2:30, but 2:30 has been already. So begin later, and leave out what is still
    to come.
    """
    later = moment + (LONGEST_CHANGE if moment.astimezone(zone()).fold else timedelta(seconds=1))
    return (each for each in _due(expression, later, back=True) if each <= moment)


def _due(expression: str, start: datetime, *, back: bool = False) -> Iterator[datetime]:
    schedule = _schedule(expression, start.astimezone(zone()), back=back)
    for due in schedule:
        yield due.astimezone(UTC)
    raise BadScheduleError(f"{expression!r} names a time that never comes.")


def _schedule(expression: str, start: datetime, *, back: bool = False) -> CronSim:
    words = WORDS.get(expression.strip().lower(), expression)
    try:
        if len(words.split()) != FIELDS:
            raise CronSimError(f"It has {len(words.split())} fields, not {FIELDS}")
        return CronSim(words, start, reverse=back)
    except CronSimError as error:
        raise BadScheduleError(f"{expression!r} is not a cron expression. {error}.") from error
