"""What this app's own system checks say: ``manage.py check --deploy``, on a page."""

import logging

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.checks.registry import registry

from backups.conf import conf

APP = __name__.partition(".")[0]

logger = logging.getLogger(__name__)


def messages() -> list[CheckMessage]:
    """
    The errors, then the warnings, without those that the project silences. Asks neither the storage
    nor anything off the machine, and takes some milliseconds. Never raises.
    """
    found: list[CheckMessage] = []
    for check in registry.get_checks(include_deployment_checks=True):
        if check.__module__.partition(".")[0] != APP:
            continue
        try:
            found += check(app_configs=None, databases=[conf.database])
        except Exception as error:  # e.g. a setting of a wrong type
            logger.exception("a check of %s has failed", check.__module__)
            name = check.__name__  # type: ignore[attr-defined]
            found.append(CheckWarning(f"{name} has failed: {error}", hint="Its log says more."))
    shown = [each for each in found if not each.is_silenced()]
    return sorted(shown, key=lambda each: -each.level)
