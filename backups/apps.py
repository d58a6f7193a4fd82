"""The app's configuration: what happens in each process before anything else."""

from types import ModuleType

from django.apps import AppConfig
from django.core.checks import Tags, register

from backups.requirements import check_requirements


class BackupsConfig(AppConfig):
    """Put ``"backups"`` first in INSTALLED_APPS: it must be ready before any query."""

    name = "backups"

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        """Check the requirements before the next app is loaded: it may need a missing package."""
        super().__init__(app_name, app_module)
        check_requirements()

    def ready(self) -> None:
        """
        Register the checks, apply a pending restore, hold presence, watch for later restores, for
        migrations, and for what is due.
        """
        from backups.archive import receipts
        from backups.checks.archive import check_archive
        from backups.checks.connections import check_connections
        from backups.checks.database import check_journal_mode
        from backups.checks.keys import check_keys
        from backups.checks.media import check_media_settings
        from backups.checks.modes import check_readers, check_writers
        from backups.checks.notices import check_notices, check_told
        from backups.checks.page import check_page
        from backups.checks.postgres import check_ready, check_servers
        from backups.checks.retention import check_retention
        from backups.checks.schedule import check_schedule
        from backups.checks.sessions import check_sessions
        from backups.checks.settings import check_installation, check_settings
        from backups.conf import conf
        from backups.processes import process_name
        from backups.site import caches, local_store
        from backups.startup import before_migrate, command_line, late_databases, serving, start

        register(check_settings)
        register(check_installation)
        register(check_keys)
        register(check_notices)
        register(check_archive)
        register(check_sessions)
        register(check_schedule)
        register(check_retention)
        register(check_connections)
        register(check_servers)
        register(check_media_settings)
        register(check_page, Tags.urls)
        register(check_journal_mode, Tags.database)
        register(check_ready, Tags.database)
        register(check_writers, Tags.security)
        register(check_readers, Tags.security, deploy=True)
        register(check_told, deploy=True)
        process_name.is_command = command_line.is_known
        start.start()
        receipts.listen()
        if not conf.is_child:
            late_databases.watch()
            before_migrate.watch()
            serving.watch()
        for paths in local_store.all_paths():
            caches.watch(paths.receipts)
        for alias in local_store.server_aliases():
            caches.watch_server(alias)
