"""A stored snapshot that is being read for a restore or a drill: nobody deletes it meanwhile."""

from contextlib import AbstractContextManager

from backups import services
from backups.archive.catalog import StoredSnapshot


def in_use(
    stored: StoredSnapshot, *, wait: bool = True, database: str | None = None
) -> AbstractContextManager[None]:
    """
    Use a stored snapshot alone for the block.

    :raises BusyError: another process uses it, and ``wait`` is false.
    """
    return services.get_store(database).lock(f"use {stored.id}", wait=wait)
