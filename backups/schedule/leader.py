"""
The leader: the one process of the site that starts the scheduled backups. It holds a lock.

Each process that serves the site has a thread that waits for this lock. When the leader ends, in
whatever way, the system gives the lock to the next process. The backup itself runs in a process of
its own. It goes on if the leader ends, and does not slow the leader down.
"""

import logging
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

from django.apps import apps

from backups import services
from backups.archive import jobs
from backups.archive.jobs import Job
from backups.archive.state import read_state
from backups.conf import conf
from backups.exceptions import BackupError, BadScheduleError, ChildNotStartedError
from backups.schedule import attempts, cron, run
from backups.schedule.due import find_due, next_due
from backups.schedule.steps import BY
from backups.site import local_store

FIRST_SECONDS = 1.0  # a fork that only starts another program is over by then
LONGEST_SECONDS = 60.0  # the longest wait: a clock may jump, and a machine may sleep
LOOK_SECONDS = 1.0  # the wait between two looks at a run
AFTER_TROUBLE_SECONDS = 600.0  # the wait after a run that could not even begin; then twice as long
MOST_AFTER_TROUBLE_SECONDS = 3600.0  # each such run tells people, if nothing can be written

logger = logging.getLogger(__name__)


def start() -> None:
    """Start the thread that waits for the lock. This process must not fork any more."""
    try:
        threading.Thread(target=_take_part, name="backups schedule", daemon=True).start()
    except RuntimeError as error:
        logger.warning(
            "this process can't start scheduled backups, since the system refuses a thread: %s",
            error,
        )


def _take_part() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are for the server
    apps.ready_event.wait()
    _wait(FIRST_SECONDS)
    while True:
        try:
            with services.get_store().lock("leader", wait=True) as is_held:
                _lead(is_held)
        except Exception as error:
            logger.log(
                logging.WARNING if isinstance(error, BackupError) else logging.ERROR,
                "the schedule of backups failed, and tries again in %d seconds: %s",
                LONGEST_SECONDS,
                error,
                exc_info=not isinstance(error, BackupError),
            )
            _wait(LONGEST_SECONDS)


def _lead(is_held: Callable[[], bool] = lambda: True) -> None:
    """Start what is due, for as long as this process lives and holds the lock."""
    try:
        schedule = cron.explain(conf.schedule)
    except BadScheduleError as error:
        _report(error)
    logger.info("this process starts the scheduled backups: %s", schedule)
    pause = AFTER_TROUBLE_SECONDS
    while is_held():
        if _is_under_way() and not run.conclude_killed():
            run.note_overdue()
            _wait(LOOK_SECONDS)
        elif (seconds := _seconds_left()) > 0:
            _wait(min(seconds, LONGEST_SECONDS))
        elif _start_run():
            pause = AFTER_TROUBLE_SECONDS
        else:
            _wait(pause)
            pause = min(2 * pause, MOST_AFTER_TROUBLE_SECONDS)
    logger.info("this process has lost the lock of the schedule, and waits for it again")


def _report(error: BadScheduleError) -> NoReturn:
    """Report, for as long as this process lives, that no backup is ever due."""
    while True:
        run.note_not_started(error)
        _wait(MOST_AFTER_TROUBLE_SECONDS)


def _is_under_way() -> bool:
    """Whether a run has begun, in any process, and its end is not known yet."""
    last = attempts.last_attempt()
    return last is not None and last.outcome == attempts.UNDER_WAY


def _seconds_left() -> float:
    """How long until the next backup is due; 0 if one is due. Without a database: one wait."""
    now, last = datetime.now(UTC), attempts.last_attempt()
    if not local_store.has_database(conf.database):
        return LONGEST_SECONDS
    if find_due(now, read_state(), last) is not None:
        return 0.0
    due = next_due(now, last)
    assert due is not None, "there is a schedule"
    return (due - now).total_seconds()


def _start_run() -> bool:
    """
    Start a run in a process of its own, and wait until it has begun. Returns False if it did not
    begin, and another try at once would not help.
    """
    try:
        job: Job | None = jobs.start("run-due", by=BY)
    except ChildNotStartedError as error:
        run.note_not_started(error)
        return False
    while job is not None and job.is_running and not _is_under_way():
        _wait(LOOK_SECONDS)
        job = jobs.find(job.id)
    if (job is None or job.outcome in ("failed", "stopped")) and not run.conclude_killed():
        run.note_not_started(BackupError("The backup's process ended before the backup began."))
        return False
    return _is_under_way() or _seconds_left() > 0


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)
