"""
How the backups of a database are doing: remembered beside it, and read by health and metrics.

Every process that stores or verifies a snapshot writes it. It survives each restart, and no restore
changes it.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from backups import services
from backups.archive.catalog import StoredSnapshot
from backups.archive.manifest import Verification
from backups.exceptions import BackupError

KEY = "backups"  # in what the store remembers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """All times are UTC, sizes in bytes."""

    last_run: datetime | None = None  # when the last backup began
    last_success: datetime | None = None  # when a backup last ended well: stored, or no change
    last_id: str | None = None  # the newest stored snapshot
    last_taken_at: datetime | None = None  # when it was taken
    last_size: int = 0  # of its stored file
    last_database_size: int = 0
    last_seconds: float = 0.0  # how long it took to store it
    current_as_of: datetime | None = None  # the newest stored snapshot has all until then
    last_verified: datetime | None = None  # when a snapshot was last found restorable
    verified_id: str | None = None  # the restorable snapshot with the newest content
    verified_as_of: datetime | None = None  # that snapshot has all that was written until then
    last_error: str = ""  # of a backup, a verification or a look at the listing
    last_error_at: datetime | None = None
    failures: int = 0  # since the last success
    failures_total: int = 0
    successes_total: int = 0
    missed_total: int = 0  # runs that did not take place when they were due
    last_missed: datetime | None = None  # when the last of them was due
    last_due: datetime | None = None  # the due time that the last scheduled run was for
    looked_at: datetime | None = None  # when the listing was last looked at
    problems: tuple[str, ...] = ()  # what that look found: a sentence for each file
    told: str = ""  # what people were last told: "failed", "missed", or empty if all is well
    told_at: datetime | None = None  # when people were last told
    trouble_since: datetime | None = None  # when the first backup failed or was missed
    troubles: int = 0  # how many backups failed or were missed since
    notice_errors: tuple[str, ...] = ()  # "mail: …": why the last notice was not sent


def read_state(*, database: str | None = None) -> State:
    """The state as it is now. Reads only."""
    return _of(services.get_store(database).recall())


def change_state(change: Callable[[State], State], *, database: str | None = None) -> State:
    """
    Change the state, one process at a time. Returns the new state.

    :raises StoreFolderError: the state can't be written; the old state stays.
    """
    with services.get_store(database).remember() as remembered:
        changed = change(_of(remembered))
        words = asdict(changed)
        remembered[KEY] = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in words.items()
        }
    return changed


@contextmanager
def noting() -> Iterator[None]:
    """If the state can't be written, e.g. since the disk is full, the work itself must not fail."""
    try:
        yield
    except BackupError as error:
        logger.warning("the state of the backups can't be written: %s", error)


def note_begun(*, database: str | None = None) -> None:
    """A backup has begun."""
    change_state(lambda state: replace(state, last_run=_now()), database=database)


def note_stored(
    stored: StoredSnapshot, *, is_new: bool, began: datetime, database: str | None = None
) -> None:
    """A backup that began then has ended well: this is the newest stored snapshot."""

    def change(state: State) -> State:
        manifest = stored.manifest
        taken_at = manifest.taken_at if manifest else stored.taken_at
        current = taken_at if is_new else began
        state = replace(
            state,
            last_success=_now(),
            last_id=stored.id,
            last_taken_at=stored.taken_at,
            last_size=stored.size,
            current_as_of=current,
            failures=0,
            successes_total=state.successes_total + 1,
        )
        if manifest is not None:
            state = replace(state, last_database_size=manifest.database_size)
            if is_new:
                state = replace(state, last_seconds=manifest.seconds)
        if not is_new and state.verified_id == stored.id:
            state = replace(state, verified_as_of=current)
        return state

    change_state(change, database=database)


def note_failed(error: str, *, database: str | None = None) -> None:
    """A backup or a verification has failed, or the look at the listing found something."""
    change_state(
        lambda state: replace(
            state,
            last_error=error,
            last_error_at=_now(),
            failures=state.failures + 1,
            failures_total=state.failures_total + 1,
        ),
        database=database,
    )


def note_verified(
    stored: StoredSnapshot, verification: Verification, *, database: str | None = None
) -> None:
    """A stored snapshot was found restorable. (For one that was not: ``note_failed``.)"""

    def change(state: State) -> State:
        as_of = stored.manifest.taken_at if stored.manifest else stored.taken_at
        if state.last_id == stored.id and state.current_as_of is not None:
            as_of = max(as_of, state.current_as_of)
        known = state.verified_as_of
        if known is not None and as_of < known <= _now():  # later: a clock was ahead
            return replace(state, last_verified=verification.at)  # an older one was verified
        return replace(
            state, last_verified=verification.at, verified_id=stored.id, verified_as_of=as_of
        )

    change_state(change, database=database)


def note_unverified(ids: Collection[str], *, database: str | None = None) -> None:
    """These can't be restored any more, whatever was found before: damaged, refused, deleted."""
    if read_state(database=database).verified_id not in ids:
        return

    def change(state: State) -> State:
        if state.verified_id not in ids:  # by now
            return state
        return replace(state, verified_id=None, verified_as_of=None)

    change_state(change, database=database)


def _of(remembered: dict[str, Any]) -> State:
    words = remembered.get(KEY)
    if not isinstance(words, dict):
        return State()
    known: dict[str, Any] = {}
    for field in fields(State):
        value = words.get(field.name)
        if value is None:
            continue
        with suppress(ValueError, TypeError, OverflowError):  # the file was changed by hand
            known[field.name] = _read(str(field.type), value)
    return State(**known)


def _read(kind: str, value: Any) -> Any:
    """A remembered value. :raises ValueError, TypeError, OverflowError: it is of another type."""
    if "datetime" in kind:
        return datetime.fromisoformat(value).astimezone(UTC)
    if "tuple" in kind:
        return tuple(map(_text, value))
    if "str" in kind:
        return _text(value)
    return float(value) if "float" in kind else int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _now() -> datetime:
    return datetime.now(UTC)
