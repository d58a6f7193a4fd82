"""Apply what is pending while this process starts, alone; or set it aside, or leave it pending."""

import logging
import time
from collections.abc import Callable

from backups.exceptions import (
    DatabaseServerError,
    InvalidSnapshotError,
    MigrationStoppedError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.postgres import databases
from backups.postgres.applying import Applying
from backups.postgres.control import Control
from backups.postgres.kept import Keeping
from backups.postgres.manifest import Manifest
from backups.postgres.pending import begin_try, find_pending, record_blocked, set_aside
from backups.postgres.site import Site
from backups.store import Receipt

logger = logging.getLogger(__name__)


def apply_at_start(
    control: Control,
    *,
    keeping: Keeping,
    site: Site,
    bring_to_this_release: Callable[[Manifest], Manifest],
    tries: int,
) -> Receipt | None:
    """
    Apply it. Nobody else is present.

    :param tries: how many starts may begin its migrations.
    :returns: the receipt: applied, refused and set aside, or blocked. None if nothing is pending.
    """
    began = time.monotonic()
    with control.session() as connection:
        manifest = find_pending(connection)
        is_there = databases.is_ours(connection, control.names.pending)
    if manifest is None:
        if not is_there:
            return None
        return set_aside(control, None, f"{control.names.pending} was not staged.")
    try:
        if manifest.fails is None and site.plan(manifest.migrations):
            manifest = begin_try(control, manifest, tries)
        manifest = bring_to_this_release(manifest)
        return Applying(control, keeping).when_nobody_is_connected(manifest, began=began)
    except MigrationStoppedError as error:
        if manifest.tries >= tries:
            return _set_aside(control, manifest, f"{error} That was the last try of {tries}.")
        return record_blocked(control, manifest, str(error))
    except RestoreBlockedError as error:
        return record_blocked(control, manifest, str(error))
    except (RestoreRefusedError, InvalidSnapshotError) as error:
        return _set_aside(control, manifest, str(error))
    except DatabaseServerError as error:
        logger.warning("the pending restore could not be applied: %s", error)
        raise


def _set_aside(control: Control, manifest: Manifest, reason: str) -> Receipt:
    """Unless another snapshot is pending by now: that may be a good one."""
    try:
        return set_aside(control, manifest, reason)
    except RestoreBlockedError as error:
        return record_blocked(control, manifest, str(error))
