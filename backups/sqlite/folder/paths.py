"""The name of every file that may stand beside the database."""

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backups.disk.timestamp import parse_timestamp, timestamp

TEMPORARY = (
    "incoming",  # an upload that is arriving or being checked
    "snapshot",  # a snapshot that is being taken
    "pinned",  # a snapshot whose download may be resumed
    "spool",  # the rest of a snapshot, for a slow reader
    "copy",  # the pages of a database in rollback mode, while they are compacted
    "manifest",  # a manifest that is being written
    "state",  # the state of the archive and the schedule, which is being written
    "scratch",  # a stored snapshot that is being verified
    "earlier",  # the pending restore that a newer one replaces, until that is synced
    "migrating",  # a pending restore that is being brought to this release
    "keeping",  # the old database, where it can't be kept by a link
    "reserved",  # a hole as long as the room that a restore without a restart needs
)

SIDECARS = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database


@dataclass(frozen=True)
class StorePaths:
    """
    The names around one database file, all in its own folder so that each move is a rename.

    ``database`` is the real file: a symbolic link is followed once, here, and never replaced.
    """

    database: Path

    @classmethod
    def of(cls, database: Path) -> "StorePaths":
        """The paths around the real file behind ``database``. Reads only."""
        return cls(Path(os.path.realpath(database)))

    def beside(self, suffix: str) -> Path:
        """``tasks.db`` + suffix, in the same folder."""
        return self.database.with_name(self.database.name + suffix)

    @property
    def folder(self) -> Path:
        """Where the database lives."""
        return self.database.parent

    @property
    def sidecars(self) -> tuple[Path, Path, Path]:
        """SQLite's own: a stale one next to a new database is replayed into it."""
        wal, shm, journal = map(self.beside, SIDECARS)
        return wal, shm, journal

    @property
    def lock(self) -> Path:
        """Locks on this file show who has the database open. Never unlinked."""
        return self.beside(".lock")

    @property
    def pending(self) -> Path:
        """A snapshot that passed every check and waits for the next start."""
        return self.beside(".pending-restore")

    @property
    def pending_sidecars(self) -> tuple[Path, Path, Path]:
        """What a program leaves if it opens the pending file, which none should."""
        wal, shm, journal = (self.beside(f".pending-restore{end}") for end in SIDECARS)
        return wal, shm, journal

    def manifest(self, sha256: str) -> Path:
        """The manifest of the pending file with this hash, so that the two can't mix."""
        return self.beside(f".pending-restore.{sha256[:16]}.json")

    def manifests(self) -> list[Path]:
        """All manifests: one when a restore is pending, more only after a crash."""
        return sorted(self._named(f"{self.pending.name}.", ".json"))

    @property
    def receipts(self) -> Path:
        """One line for each thing that happened to a restore, newest last."""
        return self.beside(".restore-receipts.jsonl")

    @property
    def sent(self) -> Path:
        """One line for each snapshot that was sent, newest last."""
        return self.beside(".sent-snapshots.jsonl")

    @property
    def downloads(self) -> Path:
        """Two lines for each snapshot that was taken, newest last."""
        return self.beside(".download-receipts.jsonl")

    @property
    def earlier_downloads(self) -> Path:
        """Where the lines of ``downloads`` went when it was full."""
        return self.beside(".download-receipts.jsonl.1")

    @property
    def backup_receipts(self) -> Path:
        """One line for each thing that happened to a stored snapshot, newest last."""
        return self.beside(".backup-receipts.jsonl")

    @property
    def earlier_backup_receipts(self) -> Path:
        """Where the lines of ``backup_receipts`` went when it was full."""
        return self.beside(".backup-receipts.jsonl.1")

    @property
    def archive(self) -> Path:
        """The folder of the stored snapshots, if the site names no other storage."""
        return self.beside(".backups")

    @property
    def state(self) -> Path:
        """What the archive and the schedule remember: the last run, the last success …"""
        return self.beside(".backups-state.json")

    @property
    def media_cache(self) -> Path:
        """What the backups have found of the media files; it may be removed at any time."""
        return self.beside(".media-cache")

    @property
    def keys(self) -> Path:
        """The site's API keys: not in the database, so that no restore changes them."""
        return self.beside(".api-keys.json")

    def pre_restore(self, moment: datetime, attempt: int = 1) -> Path:
        """Where the old database is kept; ``attempt`` 2, 3 … if that second is taken."""
        return self.beside(f".pre-restore-{timestamp(moment)}{_nth(attempt)}")

    def pre_restores(self) -> list[Path]:
        """Every kept copy of an old database, oldest first, without their sidecars."""
        copies = [path for path in self._named(self.beside(".pre-restore-").name) if _kept(path)[0]]
        return sorted(copies, key=_kept)

    def kept_at(self, kept: Path) -> datetime:
        """When one of ``pre_restores()`` was kept, by its name: UTC, to the second."""
        moment, _ = _kept(kept)
        return parse_timestamp(moment)

    def attempt_of(self, kept: Path) -> int:
        """The number of one of ``pre_restores()`` among those of its second: 1, 2 …"""
        return _kept(kept)[1]

    def refused(self, moment: datetime, attempt: int = 1) -> Path:
        """Where a pending restore that can't be applied is set aside."""
        return self.beside(f".refused-restore-{timestamp(moment)}{_nth(attempt)}")

    def temporary(self, kind: str) -> Path:
        """A new name for a file that lives only while something is under way."""
        assert kind in TEMPORARY, kind
        return self.beside(f".{kind}-{secrets.token_hex(8)}")

    def pinned(self, name: str) -> Path:
        """A snapshot that can be resumed for some minutes; ``name`` comes from the client."""
        return self.beside(f".pinned-{name}")

    def all_pinned(self) -> list[Path]:
        """Every snapshot that can be resumed."""
        return self._named(self.beside(".pinned-").name)

    def promising(self, *kinds: str) -> list[Path]:
        """Every temporary file of these kinds, of this process or another."""
        return [path for kind in kinds for path in self._named(self.beside(f".{kind}-").name)]

    def temporaries(self) -> list[Path]:
        """Every temporary file, sidecars included, of this process or another."""
        return sorted(self.promising(*TEMPORARY))

    def _named(self, start: str, end: str = "") -> list[Path]:
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        found = (name for name in names if name.startswith(start) and name.endswith(end))
        return [self.folder / name for name in found]


def _kept(path: Path) -> tuple[str, int]:
    """``….pre-restore-20261123-024538-2`` as time and attempt; no time for other names."""
    match = re.search(r"\.pre-restore-(\d{8}-\d{6})(?:-(\d+))?$", path.name, re.ASCII)
    with suppress(ValueError):  # it is not a time
        if match and parse_timestamp(match[1]):
            return match[1], int(match[2] or 1)
    return "", 0


def _nth(attempt: int) -> str:
    return "" if attempt == 1 else f"-{attempt}"
