"""The site as a Django app."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.core.exceptions import ImproperlyConfigured

from backups import api_keys
from backups.conf import conf
from backups.exceptions import KeyFileError


class TaskdogConfig(AppConfig):
    """Refuses to start on a key file that it cannot trust."""

    name = "taskdog"

    def ready(self) -> None:
        """Read the keys once, register the system checks, and let a restore end all logins."""
        from backups.signals import content_replaced
        from taskdog import checks, sessions

        content_replaced.connect(sessions.end_at_restore, dispatch_uid="taskdog.sessions")
        register(checks.check_transactions, Tags.database)
        register(checks.check_local_times)
        register(checks.check_authentication, Tags.security, deploy=True)
        try:
            assert conf.key_file is not None  # the settings name it
            api_keys.read_keys(conf.key_file)
        except KeyFileError as error:
            raise ImproperlyConfigured(f"{error} {error.hint}") from error
