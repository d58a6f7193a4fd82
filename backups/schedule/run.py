"""
Run a scheduled backup: find out whether one is due, do it, remember how it went, and report it.

Anybody may call ``run_due`` at any time and any number of times: what is due is done once.
"""

import logging
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from backups import services, signals
from backups.archive import services as archive
from backups.archive.state import State, change_state, note_failed, read_state
from backups.conf import conf
from backups.exceptions import BackupError, BusyError
from backups.notices import services as notices
from backups.schedule import attempts, cron
from backups.schedule.attempts import DONE, FAILED, UNDER_WAY, Attempt
from backups.schedule.due import Due, find_due, find_overdue, next_due, schedule_in_force
from backups.schedule.steps import BY, Steps
from backups.site import local_store

NOTHING_DUE = "nothing due"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a call."""

    what: str  # NOTHING_DUE, UNDER_WAY (in another process), DONE or FAILED
    words: str  # what there is to say, for a person
    snapshot_id: str | None = None  # the newest stored snapshot: stored by this run, or unchanged

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong."""
        return self.what == FAILED


def run_due(
    *, database: str | None = None, force: bool = False, now: datetime | None = None
) -> Outcome:
    """
    Do the backup that is due, if any: store a snapshot, verify the newest, look at the listing, and
    prune. If a step fails, the next ones are still tried, but without a stored snapshot nothing is
    pruned.

    Raises nothing but KeyboardInterrupt.

    :param force: do one even if none is due.
    """
    now = now or datetime.now(UTC)
    try:
        with services.get_store(database).lock("run"):
            return _run(now, force=force, database=database)
    except BusyError:
        return Outcome(UNDER_WAY, "A backup is under way already.")
    except Exception as error:
        return _failed(error, database)


def conclude_killed(*, database: str | None = None) -> bool:
    """
    If the process of the last run was killed, remember that the run failed, and report it. Returns
    whether that was so. Raises nothing.
    """
    with suppress(BackupError), services.get_store(database).lock("run"):
        return _conclude_killed(database)
    return False


def note_not_started(error: Exception, *, database: str | None = None) -> None:
    """Remember and report that no process could be started for a run. Raises nothing."""
    _failed(error, database)


def note_overdue(*, database: str | None = None, now: datetime | None = None) -> None:
    """Remember and report due times that pass while a run is under way. Raises nothing."""
    with suppress(BackupError):
        missed = find_overdue(now or datetime.now(UTC), read_state(database=database))
        if missed:
            change_state(lambda state: _with_missed(state, missed), database=database)
            _tell_missed(missed, database)


def _run(now: datetime, *, force: bool, database: str | None) -> Outcome:
    _conclude_killed(database)
    if not local_store.has_database(database or conf.database):
        return Outcome(NOTHING_DUE, "There is no database to back up yet.")
    last = attempts.last_attempt(database=database)
    due = find_due(now, read_state(database=database), last)
    if due is None and not force:
        return Outcome(NOTHING_DUE, f"Nothing is due before {_shown(next_due(now, last))}.")
    if due is None:
        due = Due(cron.last_due(conf.schedule, now))
    attempt = Attempt(schedule_in_force(), due.at, due.number, datetime.now(UTC))
    _begin(attempt, due, database)
    steps = Steps(now, database)
    settled = ExitStack()
    with suppress(Exception):  # settling only saves the next run work
        settled.enter_context(archive.settling(database))
    steps.take()
    if steps.snapshot_id is not None:  # else the last stored snapshot has not what there is now
        with suppress(Exception):
            settled.close()
    return _end(attempt, steps, database)


def _begin(attempt: Attempt, due: Due, database: str | None) -> None:
    """Remember the run before it does anything: if it is killed, no other begins at once."""

    def change(state: State) -> State:
        return _with_missed(replace(state, last_due=due.at or state.last_due), due.missed)

    # In this order: if it is killed between the two, the next process finds a run without its end.
    attempts.remember(attempt, database=database)
    change_state(change, database=database)
    if due.missed:
        _tell_missed(due.missed, database)
    notices.began(database=database)


def _with_missed(state: State, missed: tuple[datetime, ...]) -> State:
    if not missed:
        return state
    return replace(state, missed_total=state.missed_total + len(missed), last_missed=missed[0])


def _tell_missed(missed: tuple[datetime, ...], database: str | None) -> None:
    logger.warning(
        "%d backups were missed, the last one was due at %s", len(missed), _shown(missed[0])
    )
    notices.missed(missed[0], database=database)


def _end(attempt: Attempt, steps: Steps, database: str | None) -> Outcome:
    """If the process is killed in here, a failure is reported twice rather than never."""
    ended = replace(attempt, ended_at=datetime.now(UTC), is_final=not steps.may_help_again)
    words = " ".join([*steps.said, *steps.errors])
    if steps.errors:
        errors = " ".join(steps.errors)
        logger.warning("the scheduled backup has failed: %s", errors)
        notices.failed(errors, database=database)
        attempts.remember(replace(ended, outcome=FAILED), database=database)
        return Outcome(FAILED, words, steps.snapshot_id)
    attempts.remember(replace(ended, outcome=DONE), database=database)
    logger.info("the scheduled backup is done: %s", words)
    notices.succeeded(database=database)
    return Outcome(DONE, words, steps.snapshot_id)


def _failed(error: Exception, database: str | None) -> Outcome:
    """Report a run that could not even begin, or whose outcome can't be written down."""
    words = f"{error} {getattr(error, 'hint', '')}".strip() or type(error).__name__
    with suppress(Exception):
        note_failed(words, database=database)
    signals.backup_failed.send_robust(sender=None, database=database, error=error, by=BY)
    notices.failed(words, database=database)
    if isinstance(error, BackupError):
        logger.error("the scheduled backup has failed: %s", words)
    else:
        logger.error("the scheduled backup has failed", exc_info=error)
    return Outcome(FAILED, words)


def _conclude_killed(database: str | None) -> bool:
    """
    As ``conclude_killed``. The caller holds the lock "run", so no run is under way.

    :raises BusyError: one may be, and not have its lock again yet.
    """
    last = attempts.last_attempt(database=database)
    if last is None or last.outcome != UNDER_WAY:
        return False
    if services.get_store(database).may_have_lost_locks():
        raise BusyError("The database server has just been restarted: a backup may be under way.")
    error = BackupError(
        f"The backup that began at {_shown(last.began_at)} was cut off: its process was killed, or"
        " the machine went down."
    )
    _failed(error, database)
    # Last: if this process is killed before, the next one reports the failure again.
    ended = replace(last, outcome=FAILED, ended_at=datetime.now(UTC))
    attempts.remember(ended, database=database)
    return True


def _shown(moment: datetime | None) -> str:
    """``2026-11-26 03:00``, by the site's clock."""
    return "ever" if moment is None else f"{moment.astimezone(cron.zone()):%Y-%m-%d %H:%M}"
