"""
The first half of a restore: check an upload and keep it for the next start.

    chunks ─▶ <db>.incoming-<random> ─▶ synced, checked ─▶ <db>.pending-restore

Invariants, which hold between any two steps, power cuts included:

1. Only a whole file that passed every check is ever named ``.pending-restore``.
2. A pending restore is replaced by one rename, or not at all.
3. Nothing here opens the live database.

The manifest is in place before the rename that commits the staging, so a pending file is never
without one. See manifest.py for why a crash between the two can't mix them.
"""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime

from backups.disk import files
from backups.exceptions import (
    NotEnoughSpaceError,
    SnapshotTooLargeError,
    StoreFolderError,
)
from backups.sqlite import disk_space
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.check import Contents, check_snapshot, look_into
from backups.sqlite.checking.defects import Defects
from backups.sqlite.folder.digest import Digest
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import Temporary, temporary_file
from backups.sqlite.format.header import HEADER_BYTES, has_wal_mark
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.records.receipts import record_staged
from backups.sqlite.records.sent_snapshots import was_sent
from backups.sqlite.restores.pending import make_pending
from backups.sqlite.site import Live, Site

LIVE_SECONDS = 10.0  # to read what the live database has takes some milliseconds

# A snapshot of ours is never in WAL mode; the live database of most sites is.
WAL_MARK = (
    "The file was copied from a database in WAL mode, so its newest rows may be missing: they may"
    " be in a file beside the original that has the same name with -wal at its end. If there is"
    " such a file, put it beside this one, make one file of the two with sqlite3 FILE"
    " \"VACUUM INTO 'whole.db'\", and restore that."
)


def stage(
    paths: StorePaths,
    chunks: Iterable[bytes],
    *,
    staged_by: str,
    max_bytes: int,
    at_least: int,
    floor: int,
    check_seconds: float,
    site: Site,
    account: str | None = None,
    accept: Collection[str] = (),
    live_defects: Callable[[], Defects] = dict,
    undoes: str | None = None,
    fails: str | None = None,
    watch: Callable[[], None] | None = None,
) -> Manifest:
    """
    Write the upload beside the database, check it, and let it become the pending restore.

    Errors are those of ``BackupStore.stage_restore``.

    :param floor: how many bytes of the disk are left to the site.
    :param live_defects: looks for the defects of the live database; called only if need be.
    :param undoes: the kept copy that these chunks are, if they are one.
    :param fails: why the kept copy fails the checks, to stage it as it was anyway.
    :param watch: called now and then while it is checked; if it raises, nothing is staged.
    """
    started = time.monotonic()
    try:
        if at_least > max_bytes:
            raise _too_large(at_least, max_bytes)
        with temporary_file(paths, "incoming") as incoming:
            disk_space.reserve(paths, incoming.descriptor, at_least, floor=floor)
            size, sha256 = _receive(incoming, chunks, paths, max_bytes, at_least, floor)
            is_ours = was_sent(paths, sha256=sha256, size=size)
            is_marked = has_wal_mark(os.pread(incoming.descriptor, HEADER_BYTES, 0))
            live = site.read_live() if undoes is None else _read_live_in_time(site)
            acceptance = Acceptance(
                words=accept,
                is_ours=is_ours,
                was_live=undoes is not None,
                live_defects=live_defects,
            )
            if fails is not None:
                contents = look_into(
                    incoming.descriptor,
                    incoming.path,
                    seconds=check_seconds,
                    site=site,
                    watch=watch,
                )
            else:
                contents = check_snapshot(
                    incoming.descriptor,
                    incoming.path,
                    seconds=check_seconds,
                    site=site,
                    live=live,
                    sha256=sha256,
                    clear=site.session_tables(),
                    account=account,
                    acceptance=acceptance,
                    watch=watch,
                )
            # What a kept copy has was this site's own, whatever a restore has put in its place.
            warnings, changing = (
                ((), ())
                if undoes
                else site.check_programs(contents.programs, live, applied=contents.migrations)
            )
            manifest = Manifest(
                size=os.fstat(incoming.descriptor).st_size,
                sha256=contents.sha256,
                snapshot_size=size,
                snapshot_sha256=sha256,
                staged_at=datetime.now(UTC),
                staged_by=staged_by,
                migrations=contents.migrations,
                historic=_historic(contents, live, site, undoes),
                warnings=(
                    *((WAL_MARK,) if is_marked and not is_ours and not undoes else ()),
                    *_warn_of_failure(fails),
                    *contents.warnings,
                    *_warn_of_migrations(contents, site),
                    *warnings,
                    *_warn_of_account(account, contents),
                ),
                undoes=undoes,
                changing=tuple((each.kind, each.name, each.sql) for each in changing),
                accepted=acceptance.after(contents.defects),
            )
            files.sync(incoming.descriptor)
            make_pending(paths, incoming.path, manifest)
    except OSError as error:
        raise _explain(error, paths, at_least, floor) from error
    record_staged(paths, manifest, time.monotonic() - started)
    return manifest


def _read_live_in_time(site: Site) -> Live:
    """
    What is live may be what somebody wants to get rid of, and may never answer. An undo, which
    compares the two for its warnings only, does without it then.
    """
    found: list[Live] = []

    def read() -> None:
        found.append(site.read_live())
        site.disconnect()  # this thread's connections

    thread = threading.Thread(target=read, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the system refuses one
        return Live()
    thread.join(LIVE_SECONDS)
    return found[0] if found else Live()


def _receive(
    incoming: Temporary,
    chunks: Iterable[bytes],
    paths: StorePaths,
    max_bytes: int,
    at_least: int,
    floor: int,
) -> tuple[int, str]:
    """
    Write the chunks, hashing them as they pass. Returns their length and SHA-256.

    The floor is looked at again and again: the site and its snapshots take room meanwhile, and
    unpacked, a few bytes can become more than any disk has. Beyond what was announced, the
    promises to others count too.
    """
    size, looked_at = 0, 0
    with Digest() as digest:
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(None, max_bytes)
            if size - looked_at >= disk_space.LOOK_EVERY_BYTES:
                others = (
                    disk_space.promised(paths, but=incoming.descriptor) if size > at_least else 0
                )
                if not files.has_room(paths.folder, floor + others + len(chunk)):
                    raise _no_room(paths, max(size, at_least), floor, others)
                looked_at = size
            digest.update(chunk)
            try:
                files.write_all(incoming.descriptor, chunk)
            except OSError as error:
                raise _explain(error, paths, size, floor) from error
        os.ftruncate(incoming.descriptor, size)  # what was promised can be more: a hole
        return size, digest.hexdigest()


def _warn_of_account(account: str | None, contents: Contents) -> tuple[str, ...]:
    if account is None or not contents.account_is_missing:
        return ()
    return (f"The account {account} is not in the snapshot: it can't log in once this is applied.",)


def _historic(contents: Contents, live: Live, site: Site, undoes: str | None) -> tuple[str, ...]:
    """
    The migrations that count as known at the start: what the live database has too, and what was
    accepted although this release does not know it. All of what was live once.
    """
    if undoes is not None:
        return contents.migrations
    known = live.migrations.intersection(contents.migrations)
    return tuple(sorted(known.union(site.unknown(contents.migrations))))


def _warn_of_failure(fails: str | None) -> tuple[str, ...]:
    if fails is None:
        return ()
    return (
        f"What was live fails the checks of a snapshot: {fails.rstrip('.')}. It is put back"
        " unchanged, with its login sessions.",
    )


def _warn_of_migrations(contents: Contents, site: Site) -> tuple[str, ...]:
    if not contents.defects or not site.plan(contents.migrations):
        return ()
    return (
        "The next start has to run migrations on it, which may fail because of its defects. Then"
        " the site goes on with its current database.",
    )


def _explain(
    error: OSError, paths: StorePaths, size: int, floor: int
) -> NotEnoughSpaceError | StoreFolderError:
    if files.is_full(error):
        return _no_room(paths, size, floor)
    return StoreFolderError(
        f"The snapshot could not be staged in {paths.folder}: {files.words(error)}."
    )


def _no_room(paths: StorePaths, needed: int, floor: int, promised: int = 0) -> NotEnoughSpaceError:
    what = "The upload needs at least"
    return disk_space.no_room(paths, what, needed, floor=floor, promised=promised)


def _too_large(size: int | None, max_bytes: int) -> SnapshotTooLargeError:
    what = "is" if size is None else f"has at least {size:,} bytes and is"
    return SnapshotTooLargeError(f"The upload {what} larger than the limit of {max_bytes:,} bytes.")
