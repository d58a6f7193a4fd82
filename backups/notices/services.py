"""
The front door of the notices: the code that runs backups reports here how they went.

People are told by mail and webhook when something changes, and once a day while trouble lasts:

    well    ──failed, missed──▶ told     a notice
    told    ──the same─────────▶ told     a notice, if the last is BACKUPS_REMIND_HOURS old
    told    ──the other────────▶ told     a notice
    told    ──succeeded────────▶ well     a notice: it works again

A notice that reached nobody does not count, so the next backup sends it again. A monitor behind
BACKUPS_PING_URL is told of every backup.

Nothing here raises: a notice that can't be sent fails no backup. It is logged, and noted in the
state (``notice_errors``).
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from backups import services
from backups.archive.state import State, change_state, noting, read_state
from backups.conf import conf
from backups.notices.channels import Channels, described, monitor, people, send
from backups.notices.notice import (
    BEGAN,
    FAILED,
    MISSED,
    RECOVERED,
    SUCCEEDED,
    TEST,
    Notice,
    compose,
)

__all__ = ["began", "failed", "missed", "send_test", "succeeded"]

logger = logging.getLogger(__name__)


def began(*, database: str | None = None) -> None:
    """A scheduled backup has begun."""
    with _harmless(), _alone(database):
        state = read_state(database=database)
        _ping(BEGAN, "A backup has begun.", state, database)


def succeeded(*, database: str | None = None) -> None:
    """A backup has ended well."""
    with _harmless(), _alone(database):
        state = read_state(database=database)
        _ping(SUCCEEDED, _success(state), state, database)
        if state.told and not _tell(_recovery(state, database), database):
            return
        if state.told or state.troubles:
            _change(
                lambda state: replace(state, told="", told_at=None, trouble_since=None, troubles=0),
                database,
            )


def failed(error: str, *, hint: str = "", database: str | None = None) -> None:
    """A backup could not be stored, or a stored one can't be restored, or is gone."""
    with _harmless(), _alone(database):
        _trouble(FAILED, error, hint, database)


def missed(due: datetime, *, database: str | None = None) -> None:
    """A backup did not take place when it was due."""
    with _harmless(), _alone(database):
        _trouble(
            MISSED,
            f"The backup that was due at {due.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC did not take"
            " place.",
            "Check whether the site, or the timer that runs the backups, was stopped at that time.",
            database,
        )


def send_test(*, database: str | None = None) -> list[tuple[str, str]]:
    """
    Send a test by every channel that is set. A monitor is told how the last backup went.

    :returns: each channel in words, with what went wrong; that is empty if the test was sent.
    """
    state = read_state(database=database)
    message = "This is a test. Nothing has happened."
    errors = send(people(), compose(TEST, message, state=state, database=database))
    if conf.ping_url:
        event = FAILED if state.failures else SUCCEEDED
        words = "This is a test. The last backup failed." if state.failures else _success(state)
        errors |= send(monitor(state), compose(event, words, state=state, database=database))
    with _harmless():
        _note(errors, database)
    return [(described(name), error) for name, error in errors.items()]


def is_due(state: State, event: str, now: datetime) -> bool:
    """Whether people must be told of this trouble now."""
    if state.told != event or state.told_at is None:
        return True
    return abs(now - state.told_at) >= timedelta(hours=conf.remind_hours)  # a clock may jump


def _trouble(event: str, message: str, hint: str, database: str | None) -> None:
    now = datetime.now(UTC)
    state = _change(
        lambda state: replace(
            state, trouble_since=state.trouble_since or now, troubles=state.troubles + 1
        ),
        database,
    )
    notice = _ping(event, message, state, database, hint)
    if is_due(state, event, now) and _tell(notice, database):
        _change(lambda state: replace(state, told=event, told_at=now), database)


def _recovery(state: State, database: str | None) -> Notice:
    count = "one backup" if state.troubles == 1 else f"{state.troubles} backups"
    message = f"{_success(state)} Before it, {count} failed or did not take place"
    since = state.trouble_since
    if since is not None:
        message += f" (since {since:%Y-%m-%d %H:%M:%S} UTC)"
    if since is not None and state.last_error_at is not None and state.last_error_at >= since:
        message += f". The last error was: {state.last_error}"
    return compose(RECOVERED, f"{message.rstrip('.')}.", state=state, database=database)


def _success(state: State) -> str:
    return f"The last backup succeeded: {state.last_id}." if state.last_id else "No backup failed."


def _ping(event: str, message: str, state: State, database: str | None, hint: str = "") -> Notice:
    notice = compose(event, message, hint=hint, state=state, database=database)
    _reported(monitor(state), notice, database)
    return notice


def _tell(notice: Notice, database: str | None) -> bool:
    """Tell people. Returns whether that reached anybody, or there is nobody to tell."""
    errors = _reported(people(), notice, database)
    return not errors or "" in errors.values()


def _reported(channels: Channels, notice: Notice, database: str | None) -> dict[str, str]:
    """As ``channels.send``. Also logs and notes what went wrong."""
    errors = send(channels, notice)
    for name, error in errors.items():
        if error:
            logger.warning("the notice %r was not sent by %s: %s", notice.subject, name, error)
    _note(errors, database)
    return errors


def _note(errors: Mapping[str, str], database: str | None) -> None:
    """Remember what went wrong with these channels. What is noted of others stays."""

    def change(state: State) -> State:
        parts = (each.partition(": ") for each in state.notice_errors)
        known = {name: error for name, _, error in parts} | dict(errors)
        noted = tuple(f"{name}: {error}" for name, error in sorted(known.items()) if error)
        return replace(state, notice_errors=noted)

    before = read_state(database=database)
    if change(before) != before:
        _change(change, database)


def _change(change: Callable[[State], State], database: str | None) -> State:
    """As ``change_state``. If nothing can be kept, as on a full disk, people are told of that."""
    changed = change(read_state(database=database))
    with noting():
        changed = change_state(change, database=database)
    return changed


@contextmanager
def _alone(database: str | None) -> Iterator[None]:
    """One process at a time, so that two do not tell the same. Twice is better than not at all."""
    with ExitStack() as stack:
        with noting():
            stack.enter_context(services.get_store(database).lock("notices", wait=True))
        yield


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("the outcome of a backup was not reported")
