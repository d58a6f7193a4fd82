"""
How many starts may begin the migrations of a pending restore without finishing them.

A start waits for the migrations. If they run out of time or memory, that may be the machine's
fault: the snapshot stays pending, and a few more starts try. Then it is set aside, or each start
would lose that time for ever.

The count is written to the manifest, durably, before the migrations begin. So a start that is
killed while they run, e.g. by a service manager that thinks it hangs, counts too.
"""

import logging
from dataclasses import replace

from backups.exceptions import MigrationStoppedError, RestoreBlockedError, RestoreRefusedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.manifest import Manifest

SETTING = "BACKUPS_MIGRATE_TRIES"
ADVICE = (
    "Nothing is known to be wrong with the snapshot: to try again, fix the cause and stage the"
    " file that was set aside, with: manage.py restore_db FILE."
)

logger = logging.getLogger(__name__)


def begin_try(
    paths: StorePaths, manifest: Manifest, missing: tuple[str, ...], most: int
) -> Manifest:
    """
    Count one more start, durably, and log how long it may take.

    :raises RestoreRefusedError: ``most`` starts have begun the migrations.
    :raises OSError: the count can't be written.
    """
    if manifest.tries >= most:
        raise RestoreRefusedError(
            f"{manifest.tries} start{'s' * (manifest.tries > 1)} began its migrations, and none"
            f" finished them ({SETTING}). No more starts try, so that the site can start. {ADVICE}"
        )
    begun = replace(manifest, tries=manifest.tries + 1)
    begun.write(paths)
    logger.warning(
        "this start runs the migrations of the pending restore first (%d: %s), for no longer than"
        " BACKUPS_MIGRATE_SECONDS: try %d of %d (%s)",
        len(missing),
        ", ".join(missing[:5]) + " …" * (len(missing) > 5),
        begun.tries,
        most,
        SETTING,
    )
    return begun


def conclude_try(
    error: MigrationStoppedError, manifest: Manifest, most: int
) -> RestoreBlockedError | RestoreRefusedError:
    """What to raise for migrations that took too much time or memory."""
    left = most - manifest.tries
    if left <= 0:
        return RestoreRefusedError(
            f"{error} That was try {manifest.tries} of {most} ({SETTING}), the last one. {ADVICE}"
        )
    return RestoreBlockedError(
        f"{error} That was try {manifest.tries} of {most} ({SETTING}):"
        f" {left} more start{'s' * (left > 1)} may try, then the snapshot is set aside."
        " To give it up now: manage.py restore_db --discard."
    )
