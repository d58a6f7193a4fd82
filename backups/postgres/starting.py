"""
A start: apply what is pending if this process is alone; or set it aside, or leave it pending.

    alone? ─▶ one more try is counted ─▶ migrated to this release ─▶ applied
"""

import logging
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime

from backups.exceptions import (
    DatabaseServerError,
    InvalidSnapshotError,
    MigrationStoppedError,
    NoPendingRestoreError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.postgres import databases
from backups.postgres.applying import Applying
from backups.postgres.control import Control
from backups.postgres.kept import Keeping
from backups.postgres.manifest import Manifest, receipt_of
from backups.postgres.migrating import bring_to_this_release
from backups.postgres.pending import find_pending, lock_pending, put, set_aside
from backups.postgres.presence import Presence
from backups.postgres.records import add_receipt
from backups.postgres.site import Site
from backups.store import Receipt

logger = logging.getLogger(__name__)


def apply_if_alone(
    control: Control, presence: Presence, *, keeping: Keeping, site: Site, tries: int
) -> Receipt | None:
    """
    Apply what is pending if no other process is present. In any case be present afterwards.

    :param tries: how many starts may begin its migrations.
    :returns: the receipt: applied, refused and set aside, or blocked. None if nothing is pending.
    """
    is_wanted = _is_pending(control)
    if not is_wanted or not presence.try_alone():
        presence.join()  # waits while an applier is at work
        return _blocked_by_others(control, presence) if is_wanted else None
    try:
        return _apply(control, keeping=keeping, site=site, tries=tries)
    finally:
        presence.share()


def _is_pending(control: Control) -> bool:
    with control.if_there() as connection:
        if connection is None or databases.is_standby(connection):  # which only reads
            return False
        return find_pending(connection) is not None or databases.is_ours(
            connection, control.names.pending
        )


def _blocked_by_others(control: Control, presence: Presence) -> Receipt | None:
    if not _is_pending(control):
        return None  # the process that was alone has applied it
    others = ", ".join(presence.others()) or "another process of the site"
    reason = f"{control.names.live} is in use by {others}."
    return receipt_of(datetime.now(UTC), "blocked", reason, number="")


def _apply(control: Control, *, keeping: Keeping, site: Site, tries: int) -> Receipt | None:
    began = time.monotonic()
    with control.session() as connection:
        manifest = find_pending(connection)
        is_there = databases.is_ours(connection, control.names.pending)
    if manifest is None:
        if not is_there:
            return None
        return _set_aside(control, None, f"{control.names.pending} was not staged.")
    try:
        if manifest.fails is None and site.plan(manifest.migrations):
            manifest = _begin_try(control, manifest, tries)
        manifest = bring_to_this_release(control, site, manifest)
        return Applying(control, keeping).when_nobody_is_connected(manifest, began=began)
    except NoPendingRestoreError:
        return None  # somebody has discarded it since
    except MigrationStoppedError as error:
        if manifest.tries >= tries:
            return _set_aside(control, manifest, f"{error} That was the last try of {tries}.")
        return _record_blocked(control, manifest, str(error))
    except RestoreBlockedError as error:
        return _record_blocked(control, manifest, str(error))
    except (RestoreRefusedError, InvalidSnapshotError) as error:
        return _set_aside(control, manifest, str(error))
    except DatabaseServerError as error:
        logger.warning("the pending restore could not be applied: %s", error)
        raise


def _begin_try(control: Control, manifest: Manifest, most: int) -> Manifest:
    """
    Count one more start that begins its migrations, before it does.

    :raises RestoreRefusedError: so many have, and none has finished them.
    """
    if manifest.tries >= most:
        raise RestoreRefusedError(
            f"{manifest.tries} start{'s' * (manifest.tries > 1)} began its migrations, and none"
            " finished them (BACKUPS_MIGRATE_TRIES). No more starts try."
        )
    begun = replace(manifest, tries=manifest.tries + 1)
    with control.transaction() as connection:
        lock_pending(connection, manifest)
        put(connection, begun)
    logger.warning(
        "this start runs the migrations of the pending restore first: try %d of %d",
        begun.tries,
        most,
    )
    return begun


def _record_blocked(control: Control, manifest: Manifest | None, reason: str) -> Receipt:
    """The receipt of a start that could not apply what is pending. It stays pending."""
    receipt = receipt_of(datetime.now(UTC), "blocked", reason, manifest, number=str(uuid.uuid4()))
    with control.session() as connection:
        add_receipt(connection, receipt)
    return receipt


def _set_aside(control: Control, manifest: Manifest | None, reason: str) -> Receipt | None:
    """Unless another snapshot is pending by now: that may be a good one."""
    try:
        return set_aside(control, manifest, reason)
    except NoPendingRestoreError:
        return None
    except RestoreBlockedError as error:
        return _record_blocked(control, manifest, str(error))
