"""
Delete a stored snapshot: first its file, then its manifest.

Its name is remembered beside the database until both are gone. So if the process is killed between
the two, nobody takes the file for lost, and the next deletion finishes the work. On a full disk
nothing can be remembered: then it is deleted all the same, since that is what makes room.
"""

import logging
from collections.abc import Collection
from typing import Any

from backups.archive.catalog import Catalog
from backups.archive.state import noting
from backups.exceptions import StorageError
from backups.store import BackupStore

DELETING = "deleting"  # in what the store remembers: the names of stored files
LOCK = "prune"  # held while deleting, so that one process at a time decides what stays

logger = logging.getLogger(__name__)


def being_deleted(source: BackupStore) -> Collection[str]:
    """The names of stored files that a process is deleting, or was deleting when it ended."""
    return _names(source.recall())


def delete(source: BackupStore, catalog: Catalog, name: str) -> None:
    """
    Delete a stored file and its manifest. The caller holds ``LOCK``, and has it ``in_use``.

    :raises StorageError: the storage refuses. If the file is gone, and only the manifest is still
        there, the next ``finish`` tries again.
    """
    with noting(), source.remember() as state:
        state[DELETING] = sorted({*_names(state), name})
    try:
        catalog.delete(name)
    except StorageError:
        if catalog.files.size(name) is None:
            raise  # it stays remembered, for ``finish``
        _forget(source, name)
        raise
    _forget(source, name)


def finish(source: BackupStore, catalog: Catalog) -> None:
    """
    Remove the manifests of deletions that were cut off. The caller holds ``LOCK``.

    A snapshot whose stored file is still there is left alone. It is judged again like any other.

    :raises StorageError: the storage fails.
    """
    for name in being_deleted(source):
        if catalog.files.size(name) is None:
            try:
                catalog.delete(name)
            except StorageError:  # it still refuses
                continue
            logger.info("the deletion of %s is finished", name)
        _forget(source, name)


def _forget(source: BackupStore, name: str) -> None:
    with noting(), source.remember() as state:
        state[DELETING] = [each for each in _names(state) if each != name]


def _names(state: dict[str, Any]) -> tuple[str, ...]:
    found = state.get(DELETING)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()
