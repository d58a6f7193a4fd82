"""The kept copies, to list and to go back to."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from backups.disk import files
from backups.exceptions import NoKeptCopyError
from backups.sqlite.folder.paths import SIDECARS, StorePaths
from backups.sqlite.format.connection import has_content
from backups.sqlite.kept.keep import kept_copies
from backups.sqlite.kept.pruning import Keeping, size_of
from backups.sqlite.records.manifest import Manifest, find_unrecorded
from backups.sqlite.records.receipts import load_receipts, read_receipts
from backups.store import KeptCopy


def list_kept(paths: StorePaths, keeping: Keeping) -> list[KeptCopy]:
    """Every kept copy, the newest first. Reads only."""
    copies = []
    receipts = read_receipts(paths)
    until = keeping.stay_until(paths, receipts, now=datetime.now(UTC))
    for kept in reversed(kept_copies(paths, receipts)):
        with suppress(FileNotFoundError):  # a restore has just removed it
            copies.append(_describe(paths, kept, until.get(kept)))
    return copies


def _describe(paths: StorePaths, kept: Path, until: datetime | None) -> KeptCopy:
    return KeptCopy(
        kept.name,
        size_of(kept),
        paths.kept_at(kept),
        is_database=not kept.is_dir(),
        stays_until=until,
    )


def kept_by_last(paths: StorePaths) -> Path:
    """
    What the last applied restore replaced. Reads only.

    :raises NoKeptCopyError: nothing was replaced, or it is gone or not one whole database.
    :raises OSError: the receipts or the file can't be read now.
    """
    kept = _named_by_last(paths)
    if not files.exists(kept):
        raise NoKeptCopyError(f"What the last restore replaced was kept as {kept}, which is gone.")
    if kept.is_dir():
        raise NoKeptCopyError(
            f"What the last restore replaced could not be read by SQLite: {kept} is a folder of"
            " raw copies.",
            hint="Try to recover it by hand, with: sqlite3 FILE .recover, or .dump if that fails.",
        )
    for suffix in SIDECARS:
        if suffix != "-shm" and has_content(beside := kept.with_name(kept.name + suffix)):
            raise NoKeptCopyError(
                f"A program has opened {kept}: it is no longer one whole file, {beside} exists.",
                hint=f"Make one file of the two first: sqlite3 {kept} 'PRAGMA journal_mode=DELETE'",
            )
    return kept


def _named_by_last(paths: StorePaths) -> Path:
    """As its receipt says or, if that could not be written yet, its manifest."""
    applied = [receipt for receipt in load_receipts(paths) if receipt.outcome == "applied"]
    unrecorded = find_unrecorded(paths)
    if not applied and unrecorded is None:
        raise NoKeptCopyError("No restore has been applied yet, so there is nothing to undo.")
    kept = applied[-1].kept if unrecorded is None else unrecorded.keeps
    if kept is None:
        raise NoKeptCopyError("The last restore replaced nothing: there was no database.")
    return paths.folder / kept


def kept_by(paths: StorePaths, manifest: Manifest) -> Path | None:
    """What an interrupted try to apply this has kept, under the name that it announced."""
    kept = None if manifest.keeps is None else paths.folder / manifest.keeps
    return kept if kept is not None and files.exists(kept) else None


def read(kept: Path) -> Iterator[bytes]:
    """Its bytes, in chunks."""
    with kept.open("rb") as content:
        while chunk := content.read(files.CHUNK_BYTES):
            yield chunk
