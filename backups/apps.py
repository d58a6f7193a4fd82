"""The app's configuration: what happens in each process before anything else."""

from types import ModuleType

from django.apps import AppConfig
from django.core.checks import Tags, register

from backups.requirements import check_requirements


class BackupsConfig(AppConfig):
    """Put ``"backups"`` first in INSTALLED_APPS: it must be ready before any query."""

    name = "backups"

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        """Check what is installed: now, since the next app may need a missing package."""
        super().__init__(app_name, app_module)
        check_requirements()

    def ready(self) -> None:
        """Register the checks, apply a pending restore, hold presence, watch for the next."""
        from backups.checks import check_installation, check_settings
        from backups.connection_checks import check_connections
        from backups.database_check import check_journal_mode
        from backups.key_checks import check_keys
        from backups.mode_checks import check_readers, check_writers
        from backups.processes import process_name
        from backups.session_checks import check_sessions
        from backups.site import caches, local_store
        from backups.startup import command_line, late_databases, start

        register(check_settings)
        register(check_installation)
        register(check_keys)
        register(check_sessions)
        register(check_connections)
        register(check_journal_mode, Tags.database)
        register(check_writers, Tags.security)
        register(check_readers, Tags.security, deploy=True)
        process_name.is_command = command_line.is_known
        start.start()
        if start.is_wanted:
            late_databases.watch()
        for paths in local_store.all_paths():
            caches.watch(paths.receipts)
