"""The app's configuration: what happens in each process before anything else."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class BackupsConfig(AppConfig):
    """Put ``"backups"`` first in INSTALLED_APPS: it must be ready before anybody queries."""

    name = "backups"

    def ready(self) -> None:
        """Register the checks, apply a pending restore, hold presence, watch for the next."""
        from backups import local, remembered, startup
        from backups.checks import check_installation, check_settings
        from backups.database_check import check_journal_mode

        register(check_settings)
        register(check_installation)
        register(check_journal_mode, Tags.database)
        startup.start()
        if (paths := local.paths()) is not None:
            remembered.watch(paths.receipts)
