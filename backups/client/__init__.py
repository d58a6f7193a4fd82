"""
The client of a remote server. Knows no Django, so any script can use it.

It needs ``requests``, so it is imported when it is asked for: other modules of this folder are
used where that is not installed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backups.client.client import BackupClient

__all__ = ["BackupClient"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from backups.client import client

    return getattr(client, name)
