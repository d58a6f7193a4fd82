"""
The media files of a site, stored with a snapshot of its database.

A site writes a file before it commits the row that names it, and removes a file after the row is
gone. So the files are looked at **after** the snapshot was taken: every file that was written for
a row of the snapshot is there by then. They are also looked at before: a file that is removed
between the two looks, although the snapshot has its row, stays in the list if its content is
stored already. It is, unless the file is newer than the last backup.

One process of the site at a time does this, and holds the lock ``media``. So no content that it
finds stored is removed before its own list is stored. From then on the list keeps it (tidying.py).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.manifest import Media
from backups.archive.media.cache import Found, MediaCache, open_cache
from backups.archive.media.contents import AT_ONCE, Contents, key_of
from backups.archive.media.lists import Entry, MediaLists
from backups.archive.media.parallel import in_batches, side_by_side
from backups.archive.media.reading import ChangedError, MediaReader
from backups.archive.media.site_files import UnreadableFileError, get_site_files
from backups.conf import conf
from backups.exceptions import StorageError
from backups.store import BackupStore

LOCK = "media"
BATCH = 64  # files that one thread looks at in a row
LARGE = 1024**2  # bytes; larger ones are stored one at a time: each takes some memory
TRIES = 3  # to read a file that changes while it is read


class MediaBackup:
    """The media files of one snapshot: ``look`` before it is taken, ``store`` after that."""

    def __init__(self, catalog: Catalog, source: BackupStore) -> None:
        """Asks neither storage anything yet."""
        self._source = source
        site = get_site_files(catalog.prefix, patterns=conf.media_leave_out)
        self._reader = MediaReader(site)
        self._recipients, self._level = conf.recipients, conf.compression_level
        self._lists = MediaLists(catalog.files, catalog.prefix)
        self._contents = Contents(
            catalog.files, catalog.prefix, recipients=self._recipients, level=self._level
        )
        self._has_looked = False
        self._turns = [threading.Lock() for _ in range(64)]

    def look(self) -> None:
        """
        Read what is new or changed, before the snapshot is taken.

        :raises StorageError: the default storage can't be listed.
        """
        with self._alone() as cache:
            self._scan(cache)
            if cache.is_emptied():
                return
            cache.forget_unseen()
        self._has_looked = True

    def is_as_in(self, last: StoredSnapshot) -> bool:
        """Whether this stored snapshot has all that ``look`` has found, and nothing else."""
        if not self._has_looked or not last.media_list:
            return False
        with self._alone() as cache:
            return cache.is_listed(last.id)

    def store(self, snapshot_id: str) -> Media:
        """
        Store each content that is not stored yet, then the lists of this snapshot.

        :raises StorageError: one of the two storages failed, or all media files are gone.
        """
        self._reader.forget_warnings()
        with self._alone() as cache:
            self._scan(cache)
            if cache.is_emptied():
                self._refuse_emptied()
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
        return Media(name, len(sizes), sum(sizes), new, new_size, self._reader.warnings)

    # Steps

    def _refuse_emptied(self) -> None:
        """Else an empty folder would take the place of all media files, as old snapshots go."""
        raise StorageError(
            f"There were files in {self._reader.site.where}. Now there are none.",
            hint="Is it mounted? If you have deleted them all, delete"
            f" {self._source.media_cache()} too.",
        )

    @contextmanager
    def _alone(self) -> Iterator[MediaCache]:
        with (
            self._source.lock(LOCK, wait=True),
            open_cache(self._source.media_cache()) as cache,
        ):
            yield cache

    def _scan(self, cache: MediaCache) -> None:
        """Read each file that is new or has changed."""
        self._reader.site.check()

        def known(names: list[str]) -> list[tuple[str, Found | None]]:
            return [(name, cache.known(name)) for name in names]

        batches = map(known, in_batches(self._reader.site.names(self._reader.warn), BATCH))
        for results in side_by_side(self._read_all, batches, at_once=AT_ONCE):
            for before, found in results:
                if found is not None:
                    cache.see(found.name)
                    if found != before:
                        cache.put(found)

    def _read_all(
        self, batch: list[tuple[str, Found | None]]
    ) -> list[tuple[Found | None, Found | None]]:
        return [(known, self._reader.read_if_changed(name, known)) for name, known in batch]

    def _move(self, cache: MediaCache) -> tuple[int, int]:
        """Store what is new. Returns how many contents were new, and their size in bytes."""
        stored = self._contents.stored()
        new = new_size = 0

        def missing(*, large: bool) -> Iterator[Found]:
            for found, was_seen in cache.files():
                if (found.size > LARGE) is not large:
                    continue
                if key_of(self._contents.name_of(found.sha256)) not in stored:
                    if was_seen:
                        yield found
                    else:
                        cache.forget(found.name)  # it is gone, and its content is not stored

        def move(found: Found) -> tuple[Found, Found | None, bool]:
            return found, *self._store_content(found, stored)

        for before, found, is_new in chain(
            side_by_side(move, missing(large=False), at_once=AT_ONCE),
            side_by_side(move, missing(large=True), at_once=1),
        ):
            if found is None:
                cache.forget(before.name)
            elif found != before:
                cache.put(found)
            if found is not None and is_new:
                new, new_size = new + 1, new_size + found.size
        return new, new_size

    def _store_content(self, found: Found, stored: set[bytes]) -> tuple[Found | None, bool]:
        """Returns the file as it was stored, or None; and whether its content is new."""
        name = found.name
        for _ in range(TRIES):
            content = self._contents.name_of(found.sha256)
            key = key_of(content)
            with self._turns[key[0] % len(self._turns)]:  # two files may have the same content
                if key in stored:
                    return found, False
                try:
                    self._contents.create(content, self._reader.same(found), found.size)
                except FileExistsError:
                    stored.add(key)
                    return found, False
                except UnreadableFileError as error:
                    self._reader.warn(str(error))
                    return None, False
                except ChangedError:
                    pass
                else:
                    stored.add(key)
                    return found, True
            try:
                now = self._reader.read(name)
            except UnreadableFileError as error:
                self._reader.warn(str(error))
                return None, False
            if now is None:
                return None, False
            found = now
        self._reader.warn(f"{name} changed each time that it was read: it is not in the backup.")
        return None, False

    def _entry(self, found: Found) -> Entry:
        content = self._contents.name_of(found.sha256)
        return Entry(found.name, found.size, found.modified, found.sha256, content)
