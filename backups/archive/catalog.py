"""Which snapshots are stored: what the storage lists, with their manifests."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backups.archive import names
from backups.archive.manifest import SUFFIX, Hold, Manifest, Verification
from backups.archive.storage import StoredFiles
from backups.exceptions import NotStoredError, StorageError

# A clock that was ahead by less than this is no reason to pass over what was stored by it.
CLOCK_ERROR = timedelta(hours=1)
AT_ONCE = 8  # manifests that are read at the same time: a storage far away answers slowly
MOST_MANIFEST_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class StoredSnapshot:
    """A stored snapshot, as the storage lists it."""

    id: str
    name: str  # of the stored file
    size: int  # bytes it has now
    manifest: Manifest | None  # None if missing or not readable: the stored file may still be good

    @property
    def taken_at(self) -> datetime:
        """UTC, to the second."""
        return names.time_of(self.id)

    @property
    def is_encrypted(self) -> bool:
        """Whether a secret key is needed to read it."""
        return self.name.endswith(".age")

    @property
    def database_size(self) -> int | None:
        """Bytes, of the database in it; None if that is not known."""
        return None if self.manifest is None else self.manifest.database_size

    @property
    def verification(self) -> Verification | None:
        """The last verification; None if there was none."""
        return None if self.manifest is None else self.manifest.verification

    @property
    def hold(self) -> Hold | None:
        """Why it must not be deleted; None if it is not held."""
        return None if self.manifest is None else self.manifest.hold

    @property
    def media_list(self) -> str:
        """The name of the file that lists its media files; empty if it has none."""
        media = None if self.manifest is None else self.manifest.media
        return "" if media is None else media.list

    @property
    def problem(self) -> str:
        """What is wrong with it, as far as the listing shows; empty if nothing."""
        if self.manifest is None:
            return "It has no manifest: nothing is known of it. It may be whole: verify it."
        if self.manifest.size != self.size:
            return f"It has {self.size:,} bytes, and had {self.manifest.size:,} when it was stored."
        return ""


@dataclass(frozen=True)
class ListedPage:
    """Some of the stored snapshots, the newest first, and what else their listing shows."""

    snapshots: list[StoredSnapshot]
    first: int  # how many newer ones there are
    total: int  # how many are stored in all
    missing: list[str]  # names of stored files that are gone; their manifests are still there


class Catalog:
    """The stored snapshots of one database."""

    def __init__(
        self,
        files: StoredFiles,
        prefix: str,
        *,
        being_deleted: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """
        Looks at nothing yet.

        :param prefix: what the names of its files begin with: ``taskdog-backup-``.
        :param being_deleted: the names of stored files that a process is deleting, or was
            deleting when it ended.
        """
        self.files, self.prefix, self._being_deleted = files, prefix, being_deleted

    def snapshots(self, *, with_manifests: bool = True) -> list[StoredSnapshot]:
        """
        Every stored snapshot, the newest first.

        :raises StorageError: the storage fails.
        """
        sizes = self.files.sizes()
        found = self._listed(sizes)
        return self._with_manifests(found, sizes) if with_manifests else found

    def look(self) -> tuple[list[StoredSnapshot], list[str]]:
        """What ``snapshots`` and ``missing`` return, from one listing."""
        expected = self._being_deleted()
        sizes = self.files.sizes()
        found = self._with_manifests(self._listed(sizes), sizes)
        return found, self._missing(sizes, expected)

    def page(self, first: int, count: int) -> ListedPage:
        """
        At most ``count`` of them, from one listing. Only their manifests are read.

        :param first: how many newer ones to leave out. If there are no others: the last page.
        :raises StorageError: the storage fails.
        """
        expected = self._being_deleted()
        sizes = self.files.sizes()
        found = self._listed(sizes)
        first = min(first, max(0, len(found) - 1) // count * count)
        shown = self._with_manifests(found[first : first + count], sizes)
        return ListedPage(shown, first, len(found), self._missing(sizes, expected))

    def _listed(self, sizes: Mapping[str, int]) -> list[StoredSnapshot]:
        """All of them, the newest first, without their manifests."""
        found = [
            StoredSnapshot(snapshot_id, name, size, None)
            for name, size in sizes.items()
            if (snapshot_id := names.id_of(self.prefix, name)) is not None
        ]
        found.sort(key=lambda each: names.order_of(each.id), reverse=True)
        return found

    def _with_manifests(
        self, found: list[StoredSnapshot], sizes: Mapping[str, int]
    ) -> list[StoredSnapshot]:
        listed = [each for each in found if each.name + SUFFIX in sizes]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            manifests = dict(zip(listed, pool.map(self._manifest, listed), strict=True))
        return [replace(each, manifest=manifests.get(each)) for each in found]

    def find(self, word: str, *, even_lost: bool = False) -> StoredSnapshot:
        """
        The stored snapshot with this id or this name; the newest if ``word`` is ``latest``.

        :param even_lost: also find one whose file is gone, by its manifest. Its size is then 0.
        :raises NotStoredError: there is no such snapshot.
        """
        stored = self.snapshots(with_manifests=False)
        if (named := _named(word, stored)) is not None:
            return replace(named, manifest=self._manifest(named))
        for name in self.missing() if even_lost else ():
            lost = StoredSnapshot(names.id_of(self.prefix, name) or "", name, 0, None)
            if word in (lost.id, lost.name):
                return replace(lost, manifest=self._manifest(lost))
        if word == "latest" or not stored:
            raise NotStoredError(f"Nothing is stored in {self.files.where} yet.")
        raise NotStoredError(f"There is no stored snapshot {word!r} in {self.files.where}.")

    def again(self, stored: StoredSnapshot) -> StoredSnapshot | None:
        """
        The stored snapshot as it is now; None if its file is gone.

        :raises StorageError: the storage fails.
        """
        size = self.files.size(stored.name)
        if size is None:
            return None
        return replace(stored, size=size, manifest=self._manifest(stored))

    def missing(self) -> list[str]:
        """The names of stored files that are gone, although their manifests are there."""
        expected = self._being_deleted()  # first: a deletion may end before the listing does
        return self._missing(self.files.sizes(), expected)

    def _missing(self, sizes: Mapping[str, int], expected: Collection[str]) -> list[str]:
        named = [name.removesuffix(SUFFIX) for name in sizes if name.endswith(SUFFIX)]
        gone = (name for name in named if name not in sizes and name not in expected)
        return [name for name in gone if names.id_of(self.prefix, name) is not None]

    def write(self, manifest: Manifest) -> None:
        """Add the manifest of a file that was stored. :raises StorageError: it can't be written."""
        self.files.create(manifest.name + SUFFIX, [manifest.to_json()])

    def change(self, stored: StoredSnapshot, change: Callable[[Manifest], Manifest]) -> Manifest:
        """
        Replace the manifest of a stored snapshot. The caller has it ``in_use``.

        :raises StorageError: there is no readable manifest, or it can't be written.
        """
        manifest = self._manifest(stored)
        if manifest is None:
            raise StorageError(
                f"{stored.name} has no readable manifest in {self.files.where}, so nothing can be"
                " noted in it.",
                hint=f"The snapshot may be good. Try: manage.py backups verify {stored.id}",
            )
        changed = change(manifest)
        self.files.replace(changed.name + SUFFIX, changed.to_json())
        return changed

    def delete(self, name: str) -> None:
        """
        Remove a stored file, then its manifest. A crash in between leaves only the manifest.

        :raises StorageError: the storage refuses. Then nothing is gone, or only the stored file.
        """
        self._delete(name)
        self._delete(name + SUFFIX)

    def _delete(self, name: str) -> None:
        try:
            self.files.delete(name)
        except StorageError:  # perhaps the file is gone, and only the answer was lost
            if self.files.size(name) is not None:
                raise
        if self.files.size(name) is not None:
            raise StorageError(
                f"{self.files.where}: {name} is still there, although the storage said that it was"
                " deleted.",
                hint="Check the storage's rules: it may lock files, or keep all their versions.",
            )

    def _manifest(self, stored: StoredSnapshot) -> Manifest | None:
        name = stored.name + SUFFIX
        content = b""
        try:
            for chunk in self.files.chunks(name, 0, MOST_MANIFEST_BYTES):
                content += chunk
                if len(content) > MOST_MANIFEST_BYTES:  # a storage that sends more than was asked
                    return None
        except StorageError:
            if self.files.size(name) is None:
                return None
            raise
        manifest = Manifest.from_json(content)
        return manifest if manifest is not None and manifest.name == stored.name else None


def _named(word: str, stored: Sequence[StoredSnapshot]) -> StoredSnapshot | None:
    """
    The one that is meant; None if there is none. ``stored`` has the newest first.

    What was stored when a clock was ahead is not the latest, unless there is nothing else.
    """
    if word == "latest":
        now = datetime.now(UTC) + CLOCK_ERROR
        return next((each for each in stored if each.taken_at <= now), next(iter(stored), None))
    return next((each for each in stored if word in (each.id, each.name)), None)
