"""What is pending, migrated to the installed release: an older release staged it."""

from dataclasses import replace

from backups.postgres import contents, pending
from backups.postgres.control import Control
from backups.postgres.manifest import Manifest
from backups.postgres.new_database import incoming_database
from backups.postgres.site import Site


def bring_to_this_release(control: Control, site: Site, manifest: Manifest) -> Manifest:
    """
    Run the migrations that what is pending lacks on a copy of it, then let that copy be pending.
    Does nothing if it lacks none, or is put back as it was.

    :returns: the manifest of what is pending then.
    :raises RestoreRefusedError: a migration fails.
    :raises InvalidSnapshotError: this release is older than what is pending.
    :raises RestoreBlockedError: another snapshot is pending now.
    """
    if manifest.fails is not None:
        return manifest
    site.check_known(manifest.migrations, manifest.historic)
    missing = site.plan(manifest.migrations)
    if not missing:
        return manifest
    with incoming_database(control, template=control.names.pending) as name:
        site.migrate_database(name)
        with control.server.session(name) as connection:
            migrations = contents.read_migrations(connection)
        migrated = replace(
            manifest, migrations=migrations, migrated=manifest.migrated + missing, tries=0
        )
        pending.replace_pending(control, name, manifest, migrated)
    return migrated
