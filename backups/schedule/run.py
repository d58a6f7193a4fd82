"""
A scheduled backup: store, verify, look, prune, tidy; remember how it went, and tell.

Whoever calls ``run_due``, at any time and however often: what is due is done once.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from backups import services, signals
from backups.archive import services as archive
from backups.archive.state import State, change_state, note_failed, read_state
from backups.conf import conf
from backups.exceptions import BackupError, BusyError, TooManySnapshotsError
from backups.notices import services as notices
from backups.schedule import attempts, cron
from backups.schedule.attempts import DONE, FAILED, UNDER_WAY, Attempt
from backups.schedule.due import Due, find_due, next_due, schedule_in_force

NOTHING_DUE = "nothing due"
BUSY_PAUSE = 10.0  # seconds between two tries while others take snapshots
BUSY_SECONDS = 600.0  # so long at most

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a call."""

    what: str  # NOTHING_DUE, UNDER_WAY (by another process), DONE or FAILED
    words: str  # a sentence for each thing that there is to say
    snapshot_id: str | None = None  # the newest stored snapshot, if it was stored or looked for

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong."""
        return self.what == FAILED


@dataclass
class _Steps:
    """How the steps of a run went."""

    said: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    is_final: bool = True  # to try again would not help
    snapshot_id: str | None = None


def run_due(
    *, database: str | None = None, force: bool = False, now: datetime | None = None
) -> Outcome:
    """
    Do the backup that is due, if any: store a snapshot, verify the newest, look at the listing,
    and remove those that BACKUPS_KEEP does not keep. A step that fails does not keep the others
    from being tried, except that nothing is removed if nothing could be stored.

    Raises nothing but KeyboardInterrupt.

    :param force: even if none is due.
    """
    now = now or datetime.now(UTC)
    try:
        with services.get_store(database).lock("run"):
            return _run(now, force=force, database=database)
    except BusyError:
        return Outcome(UNDER_WAY, "A backup is under way already.")
    except Exception as error:
        if not isinstance(error, BackupError):
            logger.exception("the scheduled backup failed")
        return _not_run(error, database)


def conclude_killed(*, database: str | None = None) -> bool:
    """
    If the last run ended without a word, its process was killed: remember that it failed, and tell.

    :returns: whether one was. Raises nothing.
    """
    try:
        with services.get_store(database).lock("run"):
            return _conclude_killed(database)
    except BackupError as error:
        logger.info("the last scheduled backup can't be looked at: %s", error)
        return False


def note_not_started(error: BackupError, *, database: str | None = None) -> None:
    """The process of a run could not be started: remember that, and tell."""
    _not_run(error, database)


def _run(now: datetime, *, force: bool, database: str | None) -> Outcome:
    _conclude_killed(database)
    state, last = read_state(database=database), attempts.last_attempt(database=database)
    if not services.is_readable(database=database):
        return Outcome(NOTHING_DUE, "There is no database to back up yet.")
    due = find_due(now, state, last)
    if force:
        due = due or Due(cron.last_due(conf.schedule, now) if conf.schedule else None)
    if due is None:
        return Outcome(NOTHING_DUE, f"Nothing is due before {_shown(next_due(now, last))}.")
    attempt = Attempt(schedule_in_force(), due.at, due.number, datetime.now(UTC))
    _begin(attempt, due, database)
    steps = _Steps()
    try:
        with services_settling(steps, database):
            _do_all(steps, now, state, database)
    finally:
        pass
    return _end(attempt, steps, database)


def _begin(attempt: Attempt, due: Due, database: str | None) -> None:
    """Remember that it is under way, before anything is done: a kill must not repeat it at once."""

    def change(state: State) -> State:
        return replace(
            state,
            last_due=due.at or state.last_due,
            missed_total=state.missed_total + len(due.missed),
            last_missed=due.missed[0] if due.missed else state.last_missed,
        )

    change_state(change, database=database)
    attempts.remember(attempt, database=database)
    if due.missed:
        logger.warning("backups were missed: %d, the last of them due %s", len(due.missed), _shown(due.missed[0]))
        notices.missed(due.missed[0], database=database)
    notices.began(database=database)
