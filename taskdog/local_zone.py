"""
The name of the machine's time zone.

Times on the wire and in the store are local ones without an offset, so Django has to run in the
zone of the machine, and it wants that zone by name.
"""

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

LOCALTIME = Path("/etc/localtime")


def local_zone(chosen: str) -> str | None:
    """
    Tell the zone to run in: the chosen one, or else the machine's.

    :param chosen: an IANA name such as ``Europe/Berlin``, or blank for the machine's zone.
    :returns: an IANA name; None if the machine's zone has none that we can tell, in which case
        Django leaves the clock of the process as it is, which is right as well.
    :raises ImproperlyConfigured: if the chosen name is not known.
    """
    if chosen:
        if not _is_known(chosen):
            raise ImproperlyConfigured(
                f"TASKDOG_TIME_ZONE is {chosen!r}, which is not a time zone that this machine "
                f"knows. Use a name like Europe/Berlin."
            )
        return chosen
    name = _machine_zone()
    return name if _is_known(name) else None


def _machine_zone() -> str:
    """Read TZ as the C library does, then the link ``/etc/localtime``; blank if neither tells."""
    if "TZ" in os.environ:
        return os.environ["TZ"].removeprefix(":") or "UTC"
    _, _, name = str(LOCALTIME.resolve()).partition("/zoneinfo/")
    return name


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
