"""
What is known of the media files, beside the database, so that only changed files are read again.

It may be lost at any time. Then every file is read again, but no stored content is stored again. It
holds names and hashes, so only its owner can read it.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backups.disk import files
from backups.exceptions import StoreFolderError

VERSION = 1
EVERY = 1000  # changes between two commits: a killed process loses no more
SCHEMA = f"""
BEGIN;
CREATE TABLE files (
    name BLOB PRIMARY KEY,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, modified TEXT NOT NULL, stamp TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE listed (id TEXT NOT NULL, digest TEXT NOT NULL);
PRAGMA user_version = {VERSION};
COMMIT;
"""
SEEN = "CREATE TEMP TABLE seen (name BLOB PRIMARY KEY) WITHOUT ROWID"


@dataclass(frozen=True)
class Found:
    """A media file, as it was when it was last read."""

    name: str
    sha256: str
    size: int  # bytes
    modified: str  # ISO 8601, UTC; empty if unknown
    stamp: str  # ``Look.stamp`` of then; empty if an equal one proves nothing


class MediaCache:
    """One open cache. The caller holds the lock that keeps others away."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Takes over the connection."""
        self._connection = connection
        self._unsaved = 0

    def known(self, name: str) -> Found | None:
        """What is known of a file."""
        query = "SELECT sha256, size, modified, stamp FROM files WHERE name = ?"
        row = self._connection.execute(query, [os.fsencode(name)]).fetchone()
        return None if row is None else Found(name, *row)

    def see(self, name: str) -> None:
        """Note that there is a file of this name now."""
        self._change("INSERT OR IGNORE INTO seen VALUES (?)", os.fsencode(name))

    def put(self, found: Found) -> None:
        """Note what was found of a file."""
        row = os.fsencode(found.name), found.sha256, found.size, found.modified, found.stamp
        self._change("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", *row)

    def forget(self, name: str) -> None:
        """Drop what is known of a file."""
        self._change("DELETE FROM files WHERE name = ?", os.fsencode(name))

    def is_emptied(self) -> bool:
        """Whether files are known, and none was seen."""
        query = "SELECT EXISTS (SELECT 1 FROM files) AND NOT EXISTS (SELECT 1 FROM seen)"
        return bool(self._connection.execute(query).fetchone()[0])

    def forget_unseen(self) -> None:
        """Drop what is known of files that were not seen: they are gone."""
        self._change("DELETE FROM files WHERE name NOT IN (SELECT name FROM seen)")

    def files(self) -> Iterator[tuple[Found, bool]]:
        """
        Every file in the order of the names, and whether it was seen. The cache may be changed
        meanwhile.
        """
        query = (
            "SELECT files.*, seen.name IS NOT NULL FROM files LEFT JOIN seen USING (name)"
            " WHERE files.name > ? ORDER BY files.name LIMIT ?"
        )
        last = b""
        while rows := self._connection.execute(query, [last, EVERY]).fetchall():
            for name, *row, was_seen in rows:
                yield Found(os.fsdecode(name), *row), bool(was_seen)
            last = rows[-1][0]

    def digest(self) -> str:
        """One hash for the names and contents of all files."""
        digest = hashlib.sha256()
        for name, sha256 in self._connection.execute("SELECT name, sha256 FROM files ORDER BY 1"):
            digest.update(b"%d %s%s" % (len(name), name, sha256.encode()))
        return digest.hexdigest()

    def note_listed(self, snapshot_id: str) -> None:
        """Note that this stored snapshot has all files as they are known now."""
        self._change("DELETE FROM listed")
        self._change("INSERT INTO listed VALUES (?, ?)", snapshot_id, self.digest())

    def is_listed(self, snapshot_id: str) -> bool:
        """Whether this stored snapshot has all files as they are known now."""
        rows = self._connection.execute("SELECT id, digest FROM listed").fetchall()
        return rows == [(snapshot_id, self.digest())]

    def save(self) -> None:
        """Commit what was noted."""
        self._connection.commit()
        self._unsaved = 0

    def _change(self, statement: str, *values: object) -> None:
        self._connection.execute(statement, values)
        self._unsaved += 1
        if self._unsaved >= EVERY:
            self.save()


@contextmanager
def open_cache(path: Path) -> Iterator[MediaCache]:
    """
    The cache in this file, for the block; a new one if there is none, or it is broken.

    :raises StoreFolderError: it can't be written.
    """
    try:
        connection = _open_or_renew(path)
        with closing(connection):
            cache = MediaCache(connection)
            yield cache
            cache.save()
    except sqlite3.Error as error:
        raise StoreFolderError(
            f"{path}, where the backups remember the media files, can't be used: {error}.",
            hint="Free some space, or remove this file: then all media files are read again.",
        ) from error


def _open_or_renew(path: Path) -> sqlite3.Connection:
    try:
        return _open(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # it is broken, or of another version
        _remove(path)
        return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    try:
        with suppress(FileExistsError):
            os.close(files.create_private(path, owner_of=path.parent))
    except OSError as error:
        raise StoreFolderError(f"{path} can't be created: {files.words(error)}.") from error
    # The list that is read from it is encrypted in another thread, while this one waits.
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(SCHEMA)
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"it is of version {version}")
        connection.execute(SEEN)
    except BaseException:
        connection.close()
        raise
    return connection


def _remove(path: Path) -> None:
    for each in (path.with_name(path.name + "-journal"), path):
        files.unlink(each)
