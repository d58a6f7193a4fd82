"""
The media files of a site, stored with a snapshot of its database.

A site writes a file before it commits the row that names it, and removes a file after the row is
gone. So the files are looked at **after** the snapshot was taken: every file that was written for
a row of the snapshot is there by then. They are also looked at before: a file that is removed
between the two looks, although the snapshot has its row, stays in the list if its content is
stored already, as it is unless the file is younger than the last backup.

One process of the site at a time does this, holding the lock ``media``: so nothing that it finds
stored is removed before its own list is stored, which keeps it (see tidying.py).
"""

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from django.core.files.storage import storages
from django.core.files.storage.handler import InvalidStorageError

from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.manifest import Media
from backups.archive.media.cache import Found, MediaCache, open_cache
from backups.archive.media.contents import AT_ONCE, Contents
from backups.archive.media.lists import Entry, MediaLists, is_own
from backups.archive.media.parallel import in_batches, side_by_side
from backups.archive.media.site_files import SiteFiles, UnreadableFileError
from backups.conf import conf
from backups.disk.atomic_file import PART
from backups.exceptions import StorageError
from backups.store import BackupStore

LOCK = "media"
BATCH = 64  # files that one thread looks at in a row
LARGE = 4 * 1024**2  # bytes; one such file is stored at a time
TRIES = 3  # to read a file that changes while it is read
MOST_WARNINGS = 20  # that a manifest has
# Two changes so close to each other may leave the same time: a file that was modified so shortly
# before it was read is read again next time.
SETTLED = timedelta(seconds=2)

logger = logging.getLogger(__name__)


class ChangedError(Exception):
    """A file changed while it was read."""


class MediaBackup:
    """What goes along with one snapshot: ``look`` before it is taken, ``store`` after that."""

    def __init__(self, catalog: Catalog, source: BackupStore) -> None:
        """Asks neither storage anything yet."""
        self._source = source
        self._site = get_site_files(catalog.prefix)
        self._recipients, self._level = conf.recipients, conf.compression_level
        self._lists = MediaLists(catalog.files, catalog.prefix)
        self._contents = Contents(
            catalog.files, catalog.prefix, recipients=self._recipients, level=self._level
        )
        self._has_looked = False
        self._warnings: list[str] = []
        self._large = threading.Lock()
        self._turns = [threading.Lock() for _ in range(64)]

    def look(self) -> None:
        """
        Find out what there is before the snapshot is taken.

        :raises StorageError: the default storage can't be listed.
        """
        with self._alone() as cache:
            self._scan(cache)
            cache.forget_unseen()
        self._has_looked = True

    def is_as_in(self, last: StoredSnapshot) -> bool:
        """Whether this stored snapshot has all that ``look`` has found, and nothing else."""
        media = last.manifest.media if last.manifest is not None else None
        if not self._has_looked or media is None or not media.list:
            return False
        with self._alone() as cache:
            return cache.is_listed(last.id)

    def store(self, snapshot_id: str) -> Media:
        """
        Store each content that is not stored yet, then the lists of this snapshot.

        :raises StorageError: one of the two storages failed.
        """
        self._warnings.clear()
        with self._alone() as cache:
            self._scan(cache)
            new, new_size = self._move(cache)
            cache.save()
            name = self._lists.write(
                snapshot_id,
                (self._entry(found) for found, _ in cache.files()),
                (self._contents.name_of(found.sha256) for found, _ in cache.files()),
                recipients=self._recipients,
                level=self._level,
            )
            sizes = [found.size for found, _ in cache.files()]
            cache.note_listed(snapshot_id)
        return Media(name, len(sizes), sum(sizes), new, new_size, self._told())

    # Steps

    @contextmanager
    def _alone(self) -> Iterator[MediaCache]:
        with (
            self._source.lock(LOCK, wait=True),
            open_cache(self._source.media_cache()) as cache,
        ):
            yield cache

    def _scan(self, cache: MediaCache) -> None:
        """Read each file that is not known as it is now."""

        self._site.check()

        def known(names: list[str]) -> list[tuple[str, Found | None]]:
            return [(name, cache.known(name)) for name in names]

        batches = map(known, in_batches(self._site.names(self._warn), BATCH))
        for results in side_by_side(self._read_all, batches, at_once=AT_ONCE):
            for before, found in results:
                if found is not None:
                    cache.see(found.name)
                    if found != before:
                        cache.put(found)

    def _read_all(
        self, batch: list[tuple[str, Found | None]]
    ) -> list[tuple[Found | None, Found | None]]:
        return [(known, self._read_if_changed(name, known)) for name, known in batch]

    def _read_if_changed(self, name: str, known: Found | None) -> Found | None:
        """What the file is now; what is known of it if it can't be read; None if it is gone."""
        try:
            look = self._site.look(name)
            if look is None:
                return None
            if known is not None and look.stamp and known.stamp == look.stamp:
                return known
            return self._read(name)
        except UnreadableFileError as error:
            self._warn(str(error) + (" Its earlier content stays in the backup." if known else ""))
            return known

    def _read(self, name: str) -> Found | None:
        """Its size and hash; None if it is gone."""
        before, began = self._site.look(name), datetime.now(UTC)
        if before is None:
            return None
        digest, size = hashlib.sha256(), 0
        for chunk in self._site.chunks(name):
            digest.update(chunk)
            size += len(chunk)
        is_sure = before.modified is not None and before.modified < began - SETTLED
        modified = "" if before.modified is None else before.modified.isoformat()
        stamp = before.stamp if is_sure else ""
        return Found(name, digest.hexdigest(), size, modified, stamp)

    def _move(self, cache: MediaCache) -> tuple[int, int]:
        """Store what is new. Returns how many contents that were, and their size."""
        stored = self._contents.names()
        new = new_size = 0

        def missing() -> Iterator[Found]:
            for found, was_seen in cache.files():
                if self._contents.name_of(found.sha256) not in stored:
                    if was_seen:
                        yield found
                    else:
                        cache.forget(found.name)  # it is gone, and nobody has its content

        def move(found: Found) -> tuple[Found, Found | None, bool]:
            return found, *self._store_content(found, stored)

        for before, found, is_new in side_by_side(move, missing(), at_once=AT_ONCE):
            if found is None:
                cache.forget(before.name)
            elif found != before:
                cache.put(found)
            if found is not None and is_new:
                new, new_size = new + 1, new_size + found.size
        return new, new_size

    def _store_content(self, found: Found, stored: set[str]) -> tuple[Found | None, bool]:
        """Returns what is stored of a file, or None, and whether its content is new."""
        name = found.name
        for _ in range(TRIES):
            content = self._contents.name_of(found.sha256)
            # Two files may have the same content; and each large upload takes some memory.
            large = self._large if found.size > LARGE else nullcontext()
            with self._turns[hash(content) % len(self._turns)], large:
                if content in stored:
                    return found, False
                try:
                    self._contents.create(content, self._same(found), found.size)
                except FileExistsError:
                    stored.add(content)
                    return found, False
                except UnreadableFileError as error:
                    self._warn(str(error))
                    return None, False
                except ChangedError:
                    pass
                else:
                    stored.add(content)
                    return found, True
            try:
                now = self._read(name)
            except UnreadableFileError as error:
                self._warn(str(error))
                return None, False
            if now is None:
                return None, False
            found = now
        self._warn(f"{name} changed each time while it was read: it is not in the backup.")
        return None, False

    def _same(self, found: Found) -> Iterator[bytes]:
        """The bytes of a file, as long as they are the ones that were found."""
        digest, size = hashlib.sha256(), 0
        for chunk in self._site.chunks(found.name):
            size += len(chunk)
            if size > found.size:
                break
            digest.update(chunk)
            yield chunk
        if size != found.size or digest.hexdigest() != found.sha256:
            raise ChangedError(found.name)

    def _entry(self, found: Found) -> Entry:
        content = self._contents.name_of(found.sha256)
        return Entry(found.name, found.size, found.modified, found.sha256, content)

    def _warn(self, sentence: str) -> None:
        if sentence not in self._warnings:
            self._warnings.append(sentence)
            if len(self._warnings) <= MOST_WARNINGS:
                logger.warning("media files: %s", sentence)

    def _told(self) -> tuple[str, ...]:
        more = len(self._warnings) - MOST_WARNINGS
        last = [f"{more:,} more could not be read."] if more > 0 else []
        return (*self._warnings[:MOST_WARNINGS], *last)


def get_site_files(prefix: str) -> SiteFiles:
    """
    The site's media files, without those of the backups. Asks the storage nothing yet.

    :raises StorageError: the setting names no storage.
    """

    def is_left_out(name: str) -> bool:
        if is_own(prefix, name) or PART.fullmatch(name):  # one that is being restored
            return True
        return any(fnmatchcase(name, pattern) for pattern in conf.media_leave_out)

    try:
        storage = storages["default"]
    except (InvalidStorageError, ImportError, TypeError) as error:
        raise StorageError(
            f"STORAGES['default'] names no storage: {error}.", hint="Correct that setting."
        ) from error
    return SiteFiles(storage, is_left_out=is_left_out)
