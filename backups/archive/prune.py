"""
Delete the stored snapshots that no rule keeps, or one by hand.

Each is looked at again just before it is deleted, while nobody else can use it. By then it may be
held; or it is the last good one, because another was found damaged. If the storage refuses a
deletion, that is no error: the verdict says so, and the next prune tries again.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from django.utils.timezone import get_default_timezone

from backups import services, signals
from backups.archive import deletion
from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.in_use import in_use
from backups.archive.media.tidying import tidy_media
from backups.archive.retention import (
    HELD,
    LAST_GOOD,
    Verdict,
    explain_kept,
    find_last_good,
    judge,
    read_keep,
)
from backups.archive.state import note_unverified, noting
from backups.archive.storing import get_catalog
from backups.conf import conf
from backups.exceptions import BusyError, NotDeletableError, StorageError

IN_USE = "in use"
GONE = "somebody else has just deleted it"
NOT_TRIED = "not tried, since the storage refused those before it"
MOST_REFUSED = 10  # in a row: keys that may not delete are not tried all night

logger = logging.getLogger(__name__)


class Looked:
    """The stored snapshots as they were listed; those that were looked at again, as of then."""

    def __init__(self, catalog: Catalog, database: str | None) -> None:
        """
        Look at all of them.

        :raises StorageError: the storage fails.
        """
        self.catalog, self.database, self.now = catalog, database, datetime.now(UTC)
        self._known = {each.id: each for each in catalog.snapshots()}

    def __iter__(self) -> Iterator[StoredSnapshot]:
        return iter(self._known.values())

    def again(self, stored: StoredSnapshot) -> StoredSnapshot | None:
        """Look at a snapshot again; None if it is gone. :raises StorageError: as above."""
        now = self.catalog.again(stored)
        if now is None:
            self._known.pop(stored.id, None)
        else:
            self._known[stored.id] = now
        return now

    def explain_kept(self, stored: StoredSnapshot) -> list[str]:
        """Why a snapshot must stay, whatever the rules say. :raises StorageError: as above."""
        good = find_last_good(self, now=self.now)
        while good is not None and self.again(good) != good:
            good = find_last_good(self, now=self.now)
        return explain_kept(stored, good=good, now=self.now)

    def delete(self, stored: StoredSnapshot) -> None:
        """Delete one. :raises StorageError: the storage refuses."""
        deletion.delete(services.get_store(self.database), self.catalog, stored.name)


def prune(*, by: str, dry_run: bool = False, database: str | None = None) -> list[Verdict]:
    """
    Delete the stored snapshots that no rule of BACKUPS_KEEP keeps.

    Two at once are safe: the second waits for the first.

    :param by: the name of the user, or the schedule's, for the record.
    :param dry_run: delete nothing, and only say what would be done.
    :returns: the verdict on each, the newest first, and what came of it.
    :raises KeepError: BACKUPS_KEEP is wrong. Nothing was deleted.
    :raises StorageError: the storage fails. What was deleted until then is gone.
    """
    keep, zone = read_keep(conf.keep), get_default_timezone()
    catalog = get_catalog(database)
    if dry_run:
        looked = Looked(catalog, database)
        verdicts = judge(looked, keep, now=looked.now, zone=zone)
        return [_unless_in_use(each, lambda same, _: same, looked) for each in verdicts]
    with _deleting(catalog, by=by, database=database) as deleted:
        looked = Looked(catalog, database)
        return _apply(judge(looked, keep, now=looked.now, zone=zone), looked, deleted)


def delete(
    word: str, *, by: str, force: bool = False, database: str | None = None
) -> StoredSnapshot:
    """
    Delete a stored snapshot, or the manifest of one whose file is gone.

    :param word: its id, its name, or ``latest``.
    :param force: even if it is the last good one.
    :raises NotStoredError: there is no such snapshot.
    :raises NotDeletableError: it is held, in use, or the last good one.
    :raises StorageError: the storage refuses.
    """
    catalog = get_catalog(database)
    with _deleting(catalog, by=by, database=database) as deleted:
        found = catalog.find(word, even_lost=True)
        try:
            with in_use(found, wait=False, database=database):
                looked = Looked(catalog, database)
                _check_deletable(looked.again(found) or found, looked, force=force)
                looked.delete(found)
                deleted.append(found.id)
        except BusyError as error:
            raise NotDeletableError(
                f"{found.id} is being restored or verified.",
                hint="Wait until that has ended, then try again.",
            ) from error
    return found


def _apply(verdicts: list[Verdict], looked: Looked, deleted: list[str]) -> list[Verdict]:
    """Delete what is not kept, the oldest first: a storage that locks new files lets those go."""
    done, refused = [], 0
    for verdict in reversed(verdicts):
        if refused >= MOST_REFUSED and not verdict.is_kept:
            outcome = replace(verdict, refusal=NOT_TRIED)
        else:
            outcome = _unless_in_use(verdict, _delete_judged, looked)
        if outcome.is_deleted:
            deleted.append(outcome.snapshot.id)
        if not outcome.is_kept:
            refused = refused + 1 if outcome.refusal else 0
        done.append(outcome)
    return done[::-1]


def _unless_in_use(
    verdict: Verdict, act: Callable[[Verdict, Looked], Verdict], looked: Looked
) -> Verdict:
    if verdict.is_kept:
        return verdict
    try:
        with in_use(verdict.snapshot, wait=False, database=looked.database):
            return act(verdict, looked)
    except BusyError:
        return replace(verdict, is_kept=True, reasons=(IN_USE,))


def _delete_judged(verdict: Verdict, looked: Looked) -> Verdict:
    """Delete one, unless it must stay by now. The caller uses it alone."""
    stored = looked.again(verdict.snapshot)
    if stored is None:
        return replace(verdict, refusal=GONE)
    if reasons := looked.explain_kept(stored):
        return replace(verdict, snapshot=stored, is_kept=True, reasons=tuple(reasons))
    try:
        looked.delete(stored)
    except StorageError as error:
        logger.warning("prune: %s was not deleted: %s", stored.name, error)
        is_gone = looked.again(stored) is None
        return replace(verdict, is_deleted=is_gone, refusal=str(error))
    return replace(verdict, is_deleted=True)


def _check_deletable(stored: StoredSnapshot, looked: Looked, *, force: bool) -> None:
    reasons = looked.explain_kept(stored)
    if HELD in reasons and stored.hold is not None and stored in looked:
        why = f" ({stored.hold.reason})" if stored.hold.reason else ""
        raise NotDeletableError(
            f"{stored.id} is held by {stored.hold.by}{why}.",
            hint=f"Release it first: manage.py backups release {stored.id}",
        )
    if LAST_GOOD in reasons and not force:
        raise NotDeletableError(
            f"{stored.id} is the last good one: a restore would use it today.",
            hint="Store and verify a newer one first. To delete this one all the same: --force.",
            by_force=True,
        )


@contextmanager
def _deleting(catalog: Catalog, *, by: str, database: str | None) -> Iterator[list[str]]:
    """
    For a block that deletes. Nobody else deletes meanwhile. The block adds the id of each deleted
    snapshot to the list; these ids are reported even if the block fails.
    """
    source, deleted = services.get_store(database), list[str]()
    try:
        with source.lock(deletion.LOCK, wait=True):
            deletion.finish(source, catalog)
            yield deleted
    finally:
        _tell(deleted, by=by, database=database)
    if deleted:
        _tidy_media(database)


def _tidy_media(database: str | None) -> None:
    """Remove media files that only deleted snapshots needed. If that fails: the next time."""
    try:
        reason = tidy_media(database=database).reason
    except (BusyError, StorageError) as error:
        reason = str(error)
    if reason:
        logger.warning("media files that no snapshot needs may still be stored: %s", reason)


def _tell(ids: Collection[str], *, by: str, database: str | None) -> None:
    if not ids:
        return
    with noting():
        note_unverified(ids, database=database)
    logger.info("deleted by %s: %s", by, ", ".join(ids))
    signals.snapshots_pruned.send_robust(sender=None, database=database, ids=tuple(ids), by=by)
