"""What a process leaves on a server for a moment after its end: its sessions, with their locks."""

from tests.backups.waiting import until
from tests.postgres.stores import Store

SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND backend_type = 'client backend'
"""


def wait_for_the_end_of_sessions(store: Store) -> None:
    """Wait until the server has noticed that nobody is there any more."""
    words = SESSIONS.format(store.server.role)
    until(lambda: store.server.admin(words) == [(0,)])


def wait_for_the_end_of_work(store: Store) -> None:
    """The same of sessions that restore; others may go on."""
    words = SESSIONS.format(store.server.role) + " AND application_name LIKE 'backups%'"
    until(lambda: store.server.admin(words) == [(0,)])
