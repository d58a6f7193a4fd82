"""
A scheduled backup: find out whether one is due, do it, remember how it went, and tell.

Whoever calls ``run_due``, at whatever time and however often: what is due is done once.
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
    snapshot_id: str | None = None  # the newest stored snapshot, if this run has stored or met it

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong."""
        return self.what == FAILED


def run_due(
    *, database: str | None = None, force: bool = False, now: datetime | None = None
) -> Outcome:
    """
    Do the backup that is due, if any: store a snapshot, verify the newest, look at the listing,
    remove those that need not stay. A step that fails does not keep the others from being tried,
    but nothing is removed if nothing could be stored.

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
        return _failed(error, database)


def conclude_killed(*, database: str | None = None) -> bool:
    """
    Whether the last run ended without a word. Then its process was killed: remember that it has
    failed, and tell. Raises nothing.
    """
    with suppress(BackupError), services.get_store(database).lock("run"):
        return _conclude_killed(database)
    return False


def note_not_started(error: Exception, *, database: str | None = None) -> None:
    """No process could be started for a run: remember that, and tell. Raises nothing."""
    _failed(error, database)


def note_overdue(*, database: str | None = None, now: datetime | None = None) -> None:
    """A run is under way: if it lets due times pass, remember that, and tell. Raises nothing."""
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
    with suppress(Exception):  # it only spares the next run some work
        settled.enter_context(archive.settling(database))
    steps.take()
    with suppress(Exception):
        settled.close()
    return _end(attempt, steps, database)


def _begin(attempt: Attempt, due: Due, database: str | None) -> None:
    """Remember it before anything is done: if it is killed, it is not begun again at once."""

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
    """If it is killed in here, a failure is told twice, and not to nobody."""
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
    """It could not even begin, or what became of it can't be remembered."""
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
    """Call it while holding the lock: then no run is under way."""
    last = attempts.last_attempt(database=database)
    if last is None or last.outcome != UNDER_WAY:
        return False
    error = BackupError(
        f"The backup that began at {_shown(last.began_at)} was cut off: its process was killed, or"
        " the machine went down."
    )
    _failed(error, database)
    # Only now: if this process is killed before, the next one tells it again, and not nobody.
    ended = replace(last, outcome=FAILED, ended_at=datetime.now(UTC))
    attempts.remember(ended, database=database)
    return True


def _shown(moment: datetime | None) -> str:
    """``2026-11-26 03:00``, by the site's clock."""
    return "ever" if moment is None else f"{moment.astimezone(cron.zone()):%Y-%m-%d %H:%M}"
