"""A start: finish what a crash interrupted and apply what is pending, if this process is alone."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from backups.disk import files
from backups.disk.lock_holders import describe_holders
from backups.exceptions import RestoreBlockedError, StoreFolderError, WrongUserError
from backups.sqlite.folder.ownership import check_user
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.locking.presence import Presence
from backups.sqlite.records.receipts import make_receipt
from backups.sqlite.restores import apply_at_start, repair
from backups.sqlite.site import Site
from backups.store import Receipt


def apply_if_alone(
    paths: StorePaths,
    presence: Presence,
    *,
    site: Site,
    check_seconds: float,
    keeping: Keeping,
    migrate_tries: int,
) -> Receipt | None:
    """As ``BackupStore.apply_pending_restore``. In any case be present afterwards."""

    def apply() -> Receipt | None:
        receipt = _repair(paths)
        try:
            is_pending = files.exists(paths.pending)
        except OSError as error:
            return _blocked(files.explain(error, paths.folder))
        if not is_pending or (receipt and receipt.outcome == "blocked"):
            return receipt
        return apply_at_start.apply_pending(
            paths,
            site=site,
            check_seconds=check_seconds,
            keeping=keeping,
            migrate_tries=migrate_tries,
        )

    return _when_alone(paths, presence, apply)


def repair_if_alone(paths: StorePaths, presence: Presence) -> Receipt | None:
    """As ``BackupStore.repair``. In any case be present afterwards."""
    return _when_alone(paths, presence, lambda: _repair(paths))


def hold_presence(paths: StorePaths, presence: Presence) -> None:
    """
    Be present. Waits while another process applies a restore.

    :raises StoreFolderError: the lock file can't be used.
    :raises WrongUserError: this user would make a lock file that the site can't use.
    """
    if not files.exists(paths.lock):
        check_user(paths)
    try:
        presence.join()
    except OSError as error:
        raise StoreFolderError(
            f"The lock file {paths.lock} can't be used: {error.strerror}."
            " No restore will be applied."
        ) from error


def _when_alone(
    paths: StorePaths, presence: Presence, work: Callable[[], Receipt | None]
) -> Receipt | None:
    try:
        is_wanted = files.exists(paths.pending) or repair.needs_repair(paths)
        if is_wanted:
            check_user(paths)
        is_alone = is_wanted and presence.try_alone()
    except (OSError, WrongUserError) as error:
        # Reading the lock file is enough to be present, and the others must see this process.
        with suppress(StoreFolderError):
            hold_presence(paths, presence)
        if isinstance(error, OSError):
            return _blocked(files.explain(error, paths.lock))
        return _blocked(f"{error} {error.hint}")
    if not is_alone:
        hold_presence(paths, presence)
        return _blocked_by_others(paths, presence) if is_wanted else None
    try:
        return work()
    finally:
        presence.share()


def _repair(paths: StorePaths) -> Receipt | None:
    try:
        return repair.repair(paths)
    except RestoreBlockedError as error:
        reason = str(error)
    except OSError as error:
        reason = files.explain(error, paths.folder)
    return _blocked(f"What a crash interrupted could not be finished: {reason}")


def _blocked_by_others(paths: StorePaths, presence: Presence) -> Receipt | None:
    if not files.exists(paths.pending):
        return None  # the process that was alone has applied it
    others = ", ".join(map(str, presence.others())) or describe_holders(paths.lock, but=os.getpid())
    return _blocked(f"{paths.database} is in use by {others}.")


def _blocked(reason: str) -> Receipt:
    return make_receipt(datetime.now(UTC), "blocked", reason)
