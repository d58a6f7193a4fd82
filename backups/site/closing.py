"""Close the connections of a process, so that one of its databases can be replaced."""

from django.db import connections


def close_connections() -> None:
    """
    Close the connections of this thread, and those that wait in a pool (OPTIONS["pool"]): Django
    puts a connection back there instead of closing it.
    """
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        close_pool = getattr(connection, "close_pool", None)  # where a backend has pools
        if close_pool is not None and connection.settings_dict.get("OPTIONS", {}).get("pool"):
            close_pool()
