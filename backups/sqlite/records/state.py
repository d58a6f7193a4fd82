"""What the archive and the schedule remember, beside the database: no restore changes it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backups.disk import files
from backups.exceptions import StoreFolderError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import temporary_file
from backups.sqlite.locking.named_locks import named_lock


def read_state(paths: StorePaths) -> dict[str, Any]:
    """Reads only. Empty if nothing is remembered, or the file can't be read."""
    try:
        return _read(paths)
    except OSError:
        return {}


@contextmanager
def changed_state(paths: StorePaths) -> Iterator[dict[str, Any]]:
    """
    For a block that changes it. After a crash the file has the old state or the new one.

    :raises StoreFolderError: it can't be read or written; the old state stays.
    """
    with named_lock(paths, "state", wait=True):
        try:
            state = _read(paths)
        except OSError as error:  # e.g. of a disk that fails: nothing may take the place of it
            raise StoreFolderError(f"{paths.state} can't be read: {files.words(error)}.") from error
        yield state
        try:
            with temporary_file(paths, "state") as file:
                files.write_all(file.descriptor, json.dumps(state, indent=1).encode() + b"\n")
                os.fsync(file.descriptor)
                files.replace(file.path, paths.state)
            files.sync_folder(paths.folder)
        except OSError as error:
            raise StoreFolderError(
                f"{paths.state} can't be written: {files.words(error)}."
            ) from error


def _read(paths: StorePaths) -> dict[str, Any]:
    """Empty if it is missing, or was changed by hand. :raises OSError: it can't be read now."""
    try:
        found = json.loads(paths.state.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
