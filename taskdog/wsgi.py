"""The WSGI entrance, which gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskdog.settings")

application = get_wsgi_application()


def record_restores() -> None:
    """Record in the audit log the restore that this start has applied, if any."""
    from taskdog.audit import restores  # its models need the apps, which are ready only now

    restores.record_restores()
    connections.close_all()  # gunicorn forks next, and no connection to SQLite may cross that


def load_views() -> None:
    """Import every view before the fork: else each worker's first request waits for that."""
    _ = get_resolver().url_patterns


def sweep_sessions() -> None:
    """End the logins that are over, before anybody can use one."""
    from taskdog import sessions

    sessions.sweep()
    connections.close_all()


load_views()
record_restores()
sweep_sessions()
