"""
The client of a remote server. Does not import Django, so any script can use it.

It is imported only on first use, because it needs ``requests``: other modules in this folder also
work without that package.
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
