"""
The other apps of the site, while a command of ours works.

Django makes every app ready before it runs any command. An app that asks the database then may
ask one that a restore has put in place, and get no answer for ever: that must not keep anybody
from ``restore_db --undo``.
"""

import logging
from collections.abc import Callable

from django.apps import AppConfig, apps

from backups import query_limit

OURS = "backups"

logger = logging.getLogger(__name__)


def limit_ready() -> None:
    """
    Let ``ready`` of every other app take no more than ten seconds for its queries. What
    fails of that is logged, and the command goes on without.

    To be called from our own ``ready``: of the apps behind ours, so ours must be the first.
    """
    for config in apps.get_app_configs():
        if config.name != OURS:
            config.ready = _limited(config)  # type: ignore[method-assign]


def _limited(config: AppConfig) -> Callable[[], None]:
    ready = config.ready

    def limited() -> None:
        with query_limit.query_limit() as is_over:
            try:
                ready()
            except Exception as error:
                if not is_over():
                    raise
                logger.warning(
                    "a query of the app %s at its start was ended after %g seconds (%s); this"
                    " command goes on without it. If a restore has put that database in place,"
                    " take it back with: manage.py restore_db --undo",
                    config.label,
                    query_limit.SECONDS,
                    error,
                )

    return limited
