"""The site as a Django app."""

from types import ModuleType

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register
from django.core.exceptions import ImproperlyConfigured

from backups.conf import conf
from backups.exceptions import KeyFileError
from backups.keys import api_keys
from taskdog import data_folder


class TaskdogConfig(AppConfig):
    """Refuses to start on a key file that it cannot trust."""

    name = "taskdog"

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        """Close the database's files: now, since the first app to be ready opens them."""
        super().__init__(app_name, app_module)
        data_folder.close_files(settings.TASKDOG_DATA_DIR, data_folder.DATABASE)

    def ready(self) -> None:
        """Read the keys once, register the system checks, and let a restore end all logins."""
        from backups.signals import content_replaced
        from taskdog import checks, sessions

        content_replaced.connect(sessions.end_at_restore, dispatch_uid="taskdog.sessions")
        register(checks.check_transactions, Tags.database)
        register(checks.check_local_times)
        register(checks.check_authentication, Tags.security, deploy=True)
        register(checks.check_data_folder, Tags.security)
        try:
            assert conf.key_file is not None  # the settings name it
            api_keys.read_keys(conf.key_file)
        except KeyFileError as error:
            raise ImproperlyConfigured(f"{error} {error.hint}") from error
