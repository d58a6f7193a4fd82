"""The site as a Django app."""

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register
from django.core.exceptions import ImproperlyConfigured

from taskdog import api_keys


class TaskdogConfig(AppConfig):
    """Refuses to start on a key file that it cannot trust."""

    name = "taskdog"

    def ready(self) -> None:
        """Read the keys once, and register the system checks."""
        from taskdog import checks

        register(checks.check_transactions, Tags.database)
        register(checks.check_local_times)
        register(checks.check_authentication, Tags.security, deploy=True)
        try:
            api_keys.read_keys(settings.TASKDOG_API_KEYS_FILE)
        except api_keys.KeyFileError as error:
            raise ImproperlyConfigured(str(error)) from error
