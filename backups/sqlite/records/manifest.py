"""
The manifest of a pending file: a small JSON file beside it, named after the file's hash.

Two files can't be renamed in one step. The name ties them: a crash between the two renames leaves
the old file with its old manifest, and a new manifest that matches nothing and is swept; never the
old file with the new manifest.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import temporary_file

_TUPLES = ("migrations", "historic", "migrated", "warnings", "accepted")


@dataclass(frozen=True)
class Manifest:
    """A pending file, as it is on the disk and as it was uploaded."""

    size: int  # bytes, of the file on the disk
    sha256: str  # of the file on the disk; the same as below until migrations change it
    snapshot_size: int  # bytes, as uploaded
    snapshot_sha256: str  # as uploaded
    staged_at: datetime  # UTC
    staged_by: str
    migrations: tuple[str, ...]  # ``app.name`` of all that are applied in it
    historic: tuple[str, ...] = ()  # those that count as known, whatever the code says
    migrated: tuple[str, ...] = ()  # those that a start ran on it after it was staged
    warnings: tuple[str, ...] = ()  # sentences for the person who staged it
    undoes: str | None = None  # the kept copy that this is
    accepted: tuple[str, ...] = ()  # words of store.ACCEPTABLE, as given when it was staged
    # Kind, name and SQL of each program that its missing migrations have to change or remove.
    changing: tuple[tuple[str, str, str], ...] = ()
    overwrites: int | None = None  # the live schema_version once this has been written into it
    keeps: str | None = None  # the name of the kept copy in the last try to apply it
    was_wal: bool = False  # whether the live database was in WAL mode before that try
    tries: int = 0  # how many starts have begun its migrations; none finished them
    inode: int | None = None  # of the pending file in that try: a rename to the live name keeps it

    def write(self, paths: StorePaths) -> None:
        """Put the manifest beside the database, durably. The pending file comes after it."""
        with temporary_file(paths, "manifest") as file:
            files.write_all(file.descriptor, json.dumps(asdict(self), default=_iso).encode())
            files.sync(file.descriptor)
            files.replace(file.path, paths.manifest(self.sha256))
        files.sync_folder(paths.folder)

    def unmark(self, paths: StorePaths) -> None:
        """Note that the live database does not have this content, whatever its schema_version."""
        if self.overwrites is not None:
            replace(self, overwrites=None).write(paths)

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """As ``load``; None also if it can't be read now."""
        with contextlib.suppress(OSError):
            return cls.load(path)
        return None

    @classmethod
    def load(cls, path: Path) -> "Manifest | None":
        """
        Read one; None if it is missing or not a manifest. Reads only.

        :raises OSError: it exists and can't be read now.
        """
        try:
            fields: dict[str, Any] = json.loads(path.read_bytes())
            fields |= {name: tuple(fields[name]) for name in _TUPLES if name in fields}
            fields["staged_at"] = datetime.fromisoformat(fields["staged_at"])
            fields["changing"] = tuple(map(tuple, fields.get("changing", ())))
            return cls(**fields)
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None


def find_manifest(paths: StorePaths) -> Manifest | None:
    """
    The manifest of the pending file; None if none fits. Reads only.

    Compares the length, and hashes the pending file (1 s per GB) only in the rare case that a
    crash left several manifests of the same length.
    """
    size = os.stat(paths.pending).st_size
    found = map(Manifest.read, paths.manifests())
    fitting = [each for each in found if each is not None and each.size == size]
    if len(fitting) > 1:
        return Manifest.read(paths.manifest(files.sha256(paths.pending)))
    return fitting[0] if fitting else None


def find_unrecorded(paths: StorePaths) -> Manifest | None:
    """
    The manifest of the live file, if that was pending and its receipt is still missing; else None.
    Recognises it by the inode, since the site may have changed its bytes. Opens only manifests.
    """
    if files.exists(paths.pending) or not files.exists(paths.database):
        return None
    inode = os.stat(paths.database).st_ino
    found = (Manifest.read(path) for path in paths.manifests())
    return next((each for each in found if each is not None and each.inode == inode), None)


def sweep_manifests(paths: StorePaths, *, but: str | None) -> None:
    """Remove every manifest but that of this SHA-256. Call it with the folder locked."""
    kept = None if but is None else paths.manifest(but)
    for path in paths.manifests():
        if path != kept:
            files.unlink(path)


def _iso(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()
