"""The app's configuration: what happens in each process before anything else."""

from django.apps import AppConfig
from django.core.checks import register


class BackupsConfig(AppConfig):
    """Put ``"backups"`` first in INSTALLED_APPS: it must be ready before anybody queries."""

    name = "backups"

    def ready(self) -> None:
        """Register the checks, apply a pending restore, hold presence, watch for the next."""
        from backups import local, remembered, startup
        from backups.checks import check_installation, check_settings

        register(check_settings)
        register(check_installation)
        startup.start()
        for paths in local.all_paths():
            remembered.watch(paths.receipts)
