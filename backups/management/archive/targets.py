"""The archives that a command can work on: this machine's, and a remote server's."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backups.api import archive_serializers as shapes
from backups.api.serializers import AnswerSerializer
from backups.archive import services
from backups.archive.receipts import ArchiveReceipt
from backups.client.server_words import shown_answer
from backups.conf import conf
from backups.disk import atomic_file
from backups.disk.progress import Progress, counted
from backups.exceptions import BadParameterError
from backups.management.archive.remote import RemoteArchive
from backups.management.progress import Bar
from backups.management.targets import Json, LocalTarget, Target, in_our_form, open_target, user


class LocalArchive:
    """This machine's archive, through the same services as the API."""

    def __init__(self, database: str | None = None) -> None:
        self._database = database
        self.where = LocalTarget(database).where

    def store(self, *, label: str | None, progress: Progress) -> Json:
        with services.settling(self._database):
            stored = services.store(
                by=user(), label=label, database=self._database, progress=progress
            )
        return _answer(shapes.NewSnapshotSerializer, shapes.new_snapshot(stored))

    def list(self) -> Json:
        backups, missing = services.list_all(database=self._database)
        where = services.where(database=self._database)
        found = {"where": where, "backups": backups, "missing": missing}
        return _answer(shapes.StoredSnapshotsSerializer, found)

    def get(self, word: str, *, even_lost: bool = False) -> Json:
        stored = services.find_snapshot(word, even_lost=even_lost, database=self._database)
        return _answer(shapes.StoredSnapshotDetailSerializer, stored)

    def delete(self, word: str, *, force: bool) -> Json:
        deleted = services.delete(word, by=user(), force=force, database=self._database)
        return _answer(shapes.StoredSnapshotSerializer, deleted)

    def list_receipts(self) -> Sequence[ArchiveReceipt]:
        return services.list_receipts(database=self._database)

    def prune(self, *, dry_run: bool) -> Json:
        found = {
            "verdicts": services.prune(by=user(), dry_run=dry_run, database=self._database),
            "where": services.where(database=self._database),
        }
        return _answer(shapes.VerdictsSerializer, found)

    def hold(self, word: str, *, reason: str) -> Json:
        held = services.hold(word, by=user(), reason=reason, database=self._database)
        return _answer(shapes.StoredSnapshotSerializer, held)

    def release(self, word: str) -> Json:
        released = services.release(word, by=user(), database=self._database)
        return _answer(shapes.StoredSnapshotSerializer, released)

    def save(self, stored: Json, path: Path, *, overwrite: bool, progress: Progress) -> None:
        """Write the stored file to a path, which has it only when it is whole and checked."""
        found = services.find_snapshot(stored["id"], database=self._database)
        chunks = services.read_checked(found, database=self._database)
        atomic_file.save(counted(chunks, progress), path, overwrite=overwrite)

    def unpack(self, stored: Json, identity: Path | None) -> Iterator[bytes]:
        """The database in the stored file."""
        found = services.find_snapshot(stored["id"], database=self._database)
        return services.unpack_snapshot(found, identity_file=identity, database=self._database)

    def restore_media(
        self, word: str, *, identity: Path | None, overwrite: bool, dry_run: bool
    ) -> services.MediaRestored:
        """Put back the media files of a stored snapshot."""
        return services.restore_media(
            word,
            by=user(),
            identity_file=identity,
            overwrite=overwrite,
            dry_run=dry_run,
            database=self._database,
        )

    def restore(
        self,
        word: str,
        *,
        identity: Path | None,
        now: bool,
        accept: Collection[str],
        progress: Bar,
    ) -> Json:
        """Stage a stored snapshot; apply it if ``now``."""
        pending = services.stage_snapshot(
            word,
            staged_by=user(),
            identity_file=identity,
            accept=accept,
            database=self._database,
            progress=progress,
            tell=progress.tell,
        )
        return LocalTarget(self._database).staged(pending, now=now)

    def verify(self, word: str, identity: Path | None, progress: Progress) -> Json:
        """Verify a stored snapshot, and keep the result."""
        found = services.verify(
            word,
            by=user(),
            identity_file=identity,
            database=self._database,
            progress=progress,
        )
        return _answer(shapes.VerificationSerializer, found)

    def verify_file(self, path: Path, identity: Path | None, progress: Progress) -> Json:
        """Verify a file of this machine."""
        found = services.verify_file(
            path, identity_file=identity, database=self._database, progress=progress
        )
        return _answer(shapes.VerificationSerializer, found)


Archive = LocalArchive | RemoteArchive


@contextmanager
def open_archive(
    *,
    url: str | None = None,
    local: bool = False,
    database: str | None = None,
    insecure: bool = False,
    **_: Any,
) -> Iterator[Archive]:
    """The archive that the options and the settings name, as ``targets.open_target``."""
    with (
        open_target(url, local=local, database=database, insecure=insecure) as target,
        in_our_form(target),
    ):
        yield archive_of(target, database)


def archive_of(target: Target, database: str | None) -> Archive:
    """The archive of a store."""
    if isinstance(target, LocalTarget):
        return LocalArchive(database)
    return RemoteArchive(target.client)


@contextmanager
def open_local_archive(
    *, url: str | None = None, local: bool = False, database: str | None = None, **_: Any
) -> Iterator[LocalArchive]:
    """
    This machine's archive, for what only its own operator does.

    :raises BadParameterError: the options or the settings name a remote server.
    """
    if not local and (url := url or conf.remote_url):
        raise BadParameterError(
            f"This command works on this machine's own archive, not on that of {url}.",
            hint="Run the command on that server, or pass --local to work on this machine.",
        )
    yield LocalArchive(database)


def _answer(shape: type[AnswerSerializer], found: object) -> Json:
    answer: Json = shown_answer(shape(found).data)
    return answer
