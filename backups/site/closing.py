"""Close the connections of a process: before one of its databases is replaced, and after."""

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


def close_ended() -> bool:
    """
    Close those connections of this thread whose sessions have ended, so that the next query gets a
    new one; whether there are any. A restore that is applied at once ends those of a server.
    """
    ended = [each for each in connections.all(initialized_only=True) if not each.is_usable()]
    for connection in ended:
        connection.close()
    return bool(ended)
