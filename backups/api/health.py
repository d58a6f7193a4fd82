"""
Whether the backups are doing well, by what is remembered of them and by the clock.

Nothing here relies on the process that runs the schedule: a run that did not take place is noticed
even if that process is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backups.archive.state import State, read_state
from backups.conf import conf
from backups.exceptions import BadScheduleError
from backups.schedule import cron

# How late a run may begin, or how long it may take, until somebody is told.
GRACE = timedelta(minutes=30)
DAY = timedelta(days=1)

OK, OFF = "ok", "off"  # off: nobody has asked for backups, so none is missing
GOOD = (OK, OFF)


@dataclass(frozen=True)
class Health:
    """How the backups of a database are doing."""

    status: str  # GOOD, or what is wrong: "failed", "missed", "lost", "too_old" …
    reason: str  # in a sentence or more, fit for strangers: it names no file and no storage
    state: State
    now: datetime  # UTC
    max_age: timedelta | None = None  # of the newest verified content; None for any
    overdue: datetime | None = None  # the due time of a run that did not take place
    next_due: datetime | None = None  # None without a schedule

    @property
    def is_good(self) -> bool:
        """Whether nobody needs to do anything."""
        return self.status in GOOD

    @property
    def verified_age(self) -> timedelta | None:
        """The age of the newest content that was found restorable; None if there is none."""
        return _age(self.state.verified_as_of, self.now)

    @property
    def stored_age(self) -> timedelta | None:
        """The age of the newest content that is stored; None if there is none."""
        return _age(self.state.current_as_of, self.now)

    @property
    def missed(self) -> int:
        """How many runs did not take place when they were due."""
        return self.state.missed_total + (self.overdue is not None)


def look(*, database: str | None = None) -> Health:
    """How the backups are doing. Reads what is remembered, not the database nor the storage."""
    state, now = read_state(database=database), datetime.now(UTC)
    try:
        return judge(state, now)
    except BadScheduleError:
        reason = "BACKUPS_SCHEDULE is not a schedule, so no backup is taken."
        return Health("bad_schedule", reason, state, now)


def judge(state: State, now: datetime) -> Health:
    """How they are doing at a time. :raises BadScheduleError: BACKUPS_SCHEDULE is not one."""
    max_age, overdue = conf.max_age, None
    next_due = cron.next_due(conf.schedule, now) if conf.schedule else None
    if conf.schedule:
        overdue = _overdue(state, now)
        max_age = max_age or now - _oldest(now)
    found = list(_findings(state, now, max_age, overdue))
    status, reason = found[0]
    if status not in GOOD:
        reason = " ".join(words for status, words in found if status != OK)
    return Health(status, reason, state, now, max_age, overdue, next_due)


def _findings(
    state: State, now: datetime, max_age: timedelta | None, overdue: datetime | None
) -> Iterator[tuple[str, str]]:
    """What is wrong, the worst first; then that all is well."""
    if max_age is None and state.last_run is None:
        yield OFF, "No schedule is set, and no backup has been taken."
    if state.failures:
        count = "The last backup" if state.failures == 1 else f"The last {state.failures} backups"
        yield "failed", f"{count} failed."
    elif max_age is not None and state.last_success is None:
        yield "nothing_stored", "No backup has been stored yet."
    missed = overdue or _missed(state)
    if missed is not None:
        yield "missed", f"The backup that was due at {_shown(missed)} did not take place."
    if state.problems:
        files = "file has" if len(state.problems) == 1 else "files have"
        yield "lost", f"{len(state.problems)} stored {files} been lost or changed."
    if max_age is not None and state.last_success is not None:
        yield from _too_old(state, now, max_age)
    yield OK, "The last backup is recent enough, and none has failed since."


def _too_old(state: State, now: datetime, max_age: timedelta) -> Iterator[tuple[str, str]]:
    what = "verified" if is_verified_here() else "stored"
    age = _age(state.verified_as_of if is_verified_here() else state.current_as_of, now)
    if age is None:
        yield "too_old", f"There is no {what} backup."
    elif age > max_age:
        yield "too_old", f"The newest {what} backup is older than it may be."


def is_verified_here() -> bool:
    """Whether this site tries what it stores. It can't try what it can't decrypt."""
    can_read = not conf.recipients or conf.identity_file is not None
    return conf.verify != "never" and can_read


def _overdue(state: State, now: datetime) -> datetime | None:
    """When the last run was due, if it should have begun by now, and none has since."""
    known = [each for each in (state.last_run, state.last_due) if each is not None]
    due = cron.last_due(conf.schedule, now - _lateness())
    return due if known and max(known) < due else None


def _missed(state: State) -> datetime | None:
    """When the last missed run was due, if no backup has succeeded since."""
    if state.last_missed is None:
        return None
    is_over = state.last_success is not None and state.last_success > state.last_missed
    return None if is_over else state.last_missed


def _oldest(now: datetime) -> datetime:
    """
    A verified snapshot must have all that was written until this time: the last due time but one,
    so that a run has the time until the next. If only one a day is verified: a day earlier.
    """
    last = cron.last_due(conf.schedule, now - _lateness())
    before = cron.last_due(conf.schedule, last - timedelta(seconds=1))
    is_rare = conf.verify == "daily" and last - before < DAY
    return before - DAY if is_rare else before


def limit_of(moment: datetime) -> timedelta | None:
    """
    How old content of this time may become until ``judge`` finds it too old; None for any.

    By the schedule that is at a due time, and so it is another length for other content.

    :raises BadScheduleError: BACKUPS_SCHEDULE is not one.
    """
    if conf.max_age is not None or not conf.schedule:
        return conf.max_age
    due = cron.next_due(conf.schedule, moment + (DAY if conf.verify == "daily" else timedelta()))
    while _oldest(due + _lateness()) <= moment:
        due = cron.next_due(conf.schedule, due)
    return due + _lateness() - moment


def _lateness() -> timedelta:
    return GRACE + timedelta(seconds=conf.schedule_jitter)


def _age(moment: datetime | None, now: datetime) -> timedelta | None:
    return None if moment is None else max(now - moment, timedelta())


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
