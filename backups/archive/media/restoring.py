"""Put the media files of a stored snapshot back: missing ones, and others only if asked to."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.in_use import in_use
from backups.archive.media.contents import AT_ONCE, Contents
from backups.archive.media.lists import Entry, MediaLists
from backups.archive.media.parallel import side_by_side
from backups.archive.media.site_files import Look, SiteFiles, get_site_files
from backups.archive.storing import get_catalog
from backups.conf import conf
from backups.exceptions import NotStoredError

logger = logging.getLogger(__name__)


class What(Enum):
    """What became of a file."""

    RESTORED = auto()  # it was missing
    EQUAL = auto()
    DIFFERS = auto()  # and was left
    OVERWRITTEN = auto()
    FAILED = auto()


class _Done(NamedTuple):
    entry: Entry
    what: What
    is_newer: bool = False  # the site's file, which stays or was replaced
    reason: str = ""


@dataclass
class MediaRestored:
    """The outcome of a restore of media files; with ``dry_run``, what the outcome would be."""

    dry_run: bool
    restored: int = 0  # files that were missing
    restored_size: int = 0  # bytes, of them and of those that were overwritten
    equal: int = 0  # files that were there with this content
    differing: list[str] = field(default_factory=list)  # left as they are: another content
    newer: list[str] = field(default_factory=list)  # of both kinds: modified later
    overwritten: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # a sentence for each


class MediaRestore:
    """The restore of one snapshot's media files."""

    def __init__(
        self,
        catalog: Catalog,
        stored: StoredSnapshot,
        *,
        identity_file: Path | None,
        overwrite: bool = False,
        dry_run: bool = False,
    ) -> None:
        """Asks neither storage anything yet."""
        self._stored, self._identity_file = stored, identity_file
        self._overwrite, self._dry_run = overwrite, dry_run
        self._lists = MediaLists(catalog.files, catalog.prefix)
        self._contents = Contents(catalog.files, catalog.prefix)
        self._site: SiteFiles = get_site_files(catalog.prefix)

    def run(self, *, by: str) -> MediaRestored:
        """
        Put back what is missing. If one file fails, that is noted, and the others go on.

        :raises NotStoredError: the snapshot has no media files.
        :raises InvalidSnapshotError: its list is cut off, or was changed. What was put back until
            then is right.
        :raises IdentityError: it is encrypted, and there is no key that fits.
        :raises StorageError: the list can't be read.
        """
        self._site.check()
        outcome = MediaRestored(self._dry_run)
        for done in side_by_side(self._one, self._entries(), at_once=AT_ONCE):
            _count(outcome, done)
        if not self._dry_run:
            logger.info(
                "media files of %s put back by %s: %d missing, %d overwritten, %d failed",
                *(self._stored.id, by, outcome.restored),
                *(len(outcome.overwritten), len(outcome.failed)),
            )
        return outcome

    # Steps

    def _entries(self) -> Iterator[Entry]:
        if not self._stored.media_list:
            raise NotStoredError(f"{self._stored.id} was stored without media files.")
        return self._lists.entries(self._stored.media_list, self._identity_file)

    def _one(self, entry: Entry) -> _Done:
        try:
            self._site.check_free(entry.name)
            if not self._contents.is_name(entry.content):
                raise ValueError(f"{entry.content!r} is not the name of a stored content.")
            return self._restore(entry)
        except FileExistsError:
            return _Done(entry, What.DIFFERS)  # somebody has just written it
        except Exception as error:
            words = " ".join(str(error).split())
            logger.warning("media file %r was not put back: %s", entry.name, words)
            return _Done(entry, What.FAILED, reason=f"{entry.name}: {words}")

    def _restore(self, entry: Entry) -> _Done:
        look = self._site.look(entry.name)
        if look is None:
            self._write(entry, overwrite=False)
            return _Done(entry, What.RESTORED)
        if self._is_equal(entry):
            return _Done(entry, What.EQUAL)
        if not self._overwrite:
            return _Done(entry, What.DIFFERS, _is_newer(look, entry))
        self._write(entry, overwrite=True)
        return _Done(entry, What.OVERWRITTEN, _is_newer(look, entry))

    def _write(self, entry: Entry, *, overwrite: bool) -> None:
        if self._dry_run:
            return
        chunks = self._contents.read(
            entry.content,
            size=entry.size,
            sha256=entry.sha256,
            identity_file=self._identity_file,
        )
        self._site.save(entry.name, chunks, modified=entry.modified_at, overwrite=overwrite)

    def _is_equal(self, entry: Entry) -> bool:
        digest, size = hashlib.sha256(), 0
        for chunk in self._site.chunks(entry.name):
            size += len(chunk)
            if size > entry.size:
                return False
            digest.update(chunk)
        return digest.hexdigest() == entry.sha256


def restore_media(
    word: str,
    *,
    by: str,
    identity_file: Path | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    database: str | None = None,
) -> MediaRestored:
    """
    Put the media files of a stored snapshot back into the default storage: those that are missing.

    Equal ones stay as they are, and so do those with another content, unless ``overwrite``. A file
    gets its name only once its SHA-256 is right. If one can't be put back, the others still are:
    ``failed`` says which and why.

    :param word: the snapshot's id, its name, or ``latest``.
    :param by: the name of the key or the user, for the log.
    :param dry_run: change nothing, and say what would be done.
    :raises NotStoredError: there is no such snapshot, or it was stored without media files.
    :raises InvalidSnapshotError: its list is cut off, or was changed.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises StorageError: one of the two storages fails.
    """
    catalog = get_catalog(database)
    stored = catalog.find(word)
    with in_use(stored, database=database):
        restore = MediaRestore(
            catalog,
            stored,
            identity_file=identity_file or conf.identity_file,
            overwrite=overwrite,
            dry_run=dry_run,
        )
        return restore.run(by=by)


def _count(outcome: MediaRestored, done: _Done) -> None:
    name = done.entry.name
    match done.what:
        case What.RESTORED:
            outcome.restored += 1
        case What.EQUAL:
            outcome.equal += 1
        case What.DIFFERS:
            outcome.differing.append(name)
        case What.OVERWRITTEN:
            outcome.overwritten.append(name)
        case What.FAILED:
            outcome.failed.append(done.reason)
    if done.is_newer:
        outcome.newer.append(name)
    if done.what in (What.RESTORED, What.OVERWRITTEN):
        outcome.restored_size += done.entry.size


def _is_newer(look: Look, entry: Entry) -> bool:
    there, then = look.modified, entry.modified_at
    return there is not None and then is not None and there > then
