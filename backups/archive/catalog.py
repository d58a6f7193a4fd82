"""Which snapshots are stored: what the storage lists, with their manifests."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from backups.archive import names
from backups.archive.manifest import SUFFIX, Hold, Manifest, Verification
from backups.archive.storage import StoredFiles
from backups.exceptions import NotStoredError, StorageError

AT_ONCE = 8  # manifests that are read at the same time: a storage far away answers slowly
MOST_MANIFEST_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class StoredSnapshot:
    """A stored snapshot, as the storage lists it."""

    id: str
    name: str  # of the stored file
    size: int  # bytes it has now
    manifest: Manifest | None  # None if it is missing or can't be read: the file may be good

    @property
    def taken_at(self) -> datetime:
        """UTC, to the second."""
        return names.time_of(self.id)

    @property
    def is_encrypted(self) -> bool:
        """Whether it takes a secret key to read it."""
        return self.name.endswith(".age")

    @property
    def verification(self) -> Verification | None:
        """What the last one found."""
        return None if self.manifest is None else self.manifest.verification

    @property
    def hold(self) -> Hold | None:
        """Why it must not be deleted, if it must not."""
        return None if self.manifest is None else self.manifest.hold

    @property
    def problem(self) -> str:
        """What a look at the listing shows; empty if nothing."""
        if self.manifest is None:
            return "It has no manifest: nothing is known of it. It may be whole: verify it."
        if self.manifest.size != self.size:
            return f"It has {self.size:,} bytes, and had {self.manifest.size:,} when it was stored."
        return ""


class Catalog:
    """The stored snapshots of one database."""

    def __init__(self, files: StoredFiles, prefix: str) -> None:
        """
        Looks at nothing yet.

        :param prefix: what the names of its files begin with: ``taskdog-backup-``.
        """
        self.files, self.prefix = files, prefix

    def snapshots(self, *, with_manifests: bool = True) -> list[StoredSnapshot]:
        """
        Every stored snapshot, the newest first.

        :raises StorageError: the storage can't be asked.
        """
        return self._snapshots(self.files.sizes(), with_manifests=with_manifests)

    def look(self) -> tuple[list[StoredSnapshot], list[str]]:
        """What ``snapshots`` and ``missing`` return, of one look at the listing."""
        sizes = self.files.sizes()
        return self._snapshots(sizes, with_manifests=True), self._missing(sizes)

    def _snapshots(self, sizes: Mapping[str, int], *, with_manifests: bool) -> list[StoredSnapshot]:
        found = [
            StoredSnapshot(snapshot_id, name, size, None)
            for name, size in sizes.items()
            if (snapshot_id := names.id_of(self.prefix, name)) is not None
        ]
        found.sort(key=lambda each: names.order_of(each.id), reverse=True)
        if not with_manifests:
            return found
        listed = [each for each in found if each.name + SUFFIX in sizes]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            manifests = dict(zip(listed, pool.map(self._manifest, listed), strict=True))
        return [replace(each, manifest=manifests.get(each)) for each in found]

    def find(self, word: str) -> StoredSnapshot:
        """
        One of them, by its id, its name, or ``latest``.

        :raises NotStoredError: there is none.
        """
        stored = self.snapshots(with_manifests=False)
        for each in stored:
            if word in (each.id, each.name, "latest"):
                return replace(each, manifest=self._manifest(each))
        if word == "latest" or not stored:
            raise NotStoredError(f"Nothing is stored in {self.files.where} yet.")
        raise NotStoredError(f"There is no stored snapshot {word!r} in {self.files.where}.")

    def missing(self) -> list[str]:
        """The names of stored files that are gone, although their manifests are there."""
        return self._missing(self.files.sizes())

    def find_missing(self, word: str) -> StoredSnapshot | None:
        """One of ``missing``, by its id or its name, with no bytes; None if it is none of them."""
        for name in self.missing():
            snapshot_id = names.id_of(self.prefix, name)
            if snapshot_id is not None and word in (snapshot_id, name):
                found = StoredSnapshot(snapshot_id, name, 0, None)
                return replace(found, manifest=self._manifest(found))
        return None

    def _missing(self, sizes: Mapping[str, int]) -> list[str]:
        named = [name.removesuffix(SUFFIX) for name in sizes if name.endswith(SUFFIX)]
        gone = (name for name in named if name not in sizes)
        return [name for name in gone if names.id_of(self.prefix, name) is not None]

    def write(self, manifest: Manifest) -> None:
        """Add the manifest of a file that was stored. :raises StorageError: it can't be written."""
        self.files.create(manifest.name + SUFFIX, [manifest.to_json()])

    def change(self, stored: StoredSnapshot, change: Callable[[Manifest], Manifest]) -> Manifest:
        """
        Replace its manifest. The caller holds the lock that keeps others from doing the same.

        :raises StorageError: it has none that can be read, or it can't be written.
        """
        manifest = self._manifest(stored)
        if manifest is None:
            raise StorageError(
                f"{stored.name} has no manifest in {self.files.where}, so nothing can be noted"
                " of it.",
                hint="The snapshot itself may be good: try it with manage.py backups verify.",
            )
        changed = change(manifest)
        self.files.replace(changed.name + SUFFIX, changed.to_json())
        return changed

    def delete(self, stored: StoredSnapshot) -> None:
        """
        Remove the stored file, then its manifest: a crash between leaves a manifest of nothing.

        :raises StorageError: the storage refuses.
        """
        self.files.delete(stored.name)
        self.files.delete(stored.name + SUFFIX)

    def _manifest(self, stored: StoredSnapshot) -> Manifest | None:
        name = stored.name + SUFFIX
        content = b""
        try:
            for chunk in self.files.chunks(name, 0, MOST_MANIFEST_BYTES):
                content += chunk
        except StorageError:
            if self.files.size(name) is None:
                return None
            raise
        manifest = Manifest.from_json(content)
        return manifest if manifest is not None and manifest.name == stored.name else None
