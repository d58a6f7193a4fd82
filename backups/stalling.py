"""
A client that takes nothing any more must not hold a thread and a snapshot for ever.

What waits for such a client is the server, in ``send(2)``, where no code of ours runs. So the
limit is set on the socket, if the server lets its application have it, as gunicorn does. Other
servers and proxies have their own setting for it (nginx: ``send_timeout``).

Source: socket(7), SO_SNDTIMEO.
"""

import math
import socket
import struct
from typing import Any


def drop_when_stalled(environ: dict[str, Any], *, seconds: float) -> bool:
    """
    Let the connection of this request fail once its client has taken nothing for so long.

    A client that is slow but takes something now and then is served to the end.

    :param environ: of the request, by WSGI.
    :returns: whether the server lets us.
    """
    connection = environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return False
    fraction, whole = math.modf(seconds)
    timeval = struct.pack("ll", int(whole), int(fraction * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    return True
