"""Keep a stored snapshot from being deleted while it is restored, verified or changed."""

from contextlib import AbstractContextManager

from backups import services
from backups.archive.catalog import StoredSnapshot


def in_use(
    stored: StoredSnapshot, *, wait: bool = True, database: str | None = None
) -> AbstractContextManager[object]:
    """
    Let nobody else use or delete a stored snapshot, until the block ends.

    :raises BusyError: another process uses it, and ``wait`` is false.
    """
    return services.get_store(database).lock(f"use {stored.id}", wait=wait)
