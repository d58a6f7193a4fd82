"""
The first half of a restore: receive an upload and check it. prepared.py makes it pending.

    chunks ─▶ <db>.incoming-<random> ─▶ checked ─▶ synced ─▶ <db>.pending-restore

Invariants, which hold between any two steps, power cuts included:

1. Only a whole, synced file that passed every check is ever named ``.pending-restore``.
2. A pending restore is replaced by one rename, or not at all.
3. Nothing here opens the live database's files. Only the site's own connections read them.

The rename is in pending.py. The manifest is written before it, so that a pending file always has
one; manifest.py says why a crash between the two can't mix them.
"""

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.sqlite import disk_space
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.check import check_snapshot, look_into
from backups.sqlite.checking.contents import Contents
from backups.sqlite.checking.defects import Defects
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import Temporary, temporary_file
from backups.sqlite.format import header
from backups.sqlite.format.header import has_wal_mark
from backups.sqlite.format.schema import Program
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.records.sent_snapshots import was_sent
from backups.sqlite.restores.receive import receive, too_large
from backups.sqlite.site import Live, Site

LIVE_SECONDS = 10.0  # reading the live database's schema takes some milliseconds

# No snapshot is in WAL mode; the live database of most sites is.
WAL_MARK = (
    "The file was copied from a database in WAL mode, so its newest rows may be missing: they may"
    " be in a file beside the original that has the same name with -wal at its end. If there is"
    " such a file, put it beside this one, make one file of the two with sqlite3 FILE"
    " \"VACUUM INTO 'whole.db'\", and restore that."
)


@dataclass(frozen=True)
class Staging:
    """
    One upload on its way to the pending name, and what it has to pass.

    :param at_least: how many of its bytes were announced.
    :param floor: how many bytes of the disk stay free for the site.
    :param live_defects: finds the defects of the live database; called only if they matter.
    :param undoes: the name of the kept copy, if the upload is one.
    :param fails: why this kept copy fails the checks; it is then staged without them.
    :param watch: called now and then during the check; if it raises, nothing is staged.
    :param on_received: called once all has arrived, before the check.
    """

    paths: StorePaths
    staged_by: str
    max_bytes: int
    floor: int
    check_seconds: float
    site: Site
    at_least: int = 0
    account: str | None = None
    accept: Collection[str] = ()
    live_defects: Callable[[], Defects] = dict
    undoes: str | None = None
    fails: str | None = None
    watch: Callable[[], None] | None = None
    on_received: Callable[[], None] = lambda: None

    @contextmanager
    def checked(self, chunks: Iterable[bytes], kind: str) -> Iterator[tuple[Temporary, Manifest]]:
        """
        Receive the upload into a temporary file of this kind, and check it. Yields the file and
        the manifest that it would be pending with.
        """
        if self.at_least > self.max_bytes:
            raise too_large(self.at_least, self.max_bytes)
        with temporary_file(self.paths, kind) as incoming:
            arrived = self._receive(incoming, chunks)
            self.on_received()
            # invariant 3
            live = _read_live_in_time(self.site) if self.undoes else self.site.read_live()
            acceptance = Acceptance(
                words=self.accept,
                is_ours=arrived.is_ours,
                was_live=self.undoes is not None,
                live_defects=self.live_defects,
            )
            contents = self._check(incoming, arrived, live, acceptance)
            yield incoming, self._describe(incoming, arrived, contents, live, acceptance)

    def _receive(self, incoming: Temporary, chunks: Iterable[bytes]) -> "_Arrived":
        disk_space.reserve(self.paths, incoming.descriptor, self.at_least, floor=self.floor)
        size, sha256 = receive(
            incoming,
            chunks,
            self.paths,
            max_bytes=self.max_bytes,
            at_least=self.at_least,
            floor=self.floor,
        )
        return _Arrived(
            size,
            sha256,
            is_ours=was_sent(self.paths, sha256=sha256, size=size),
            is_marked=has_wal_mark(header.read(incoming.descriptor)),
        )

    def _check(
        self, incoming: Temporary, arrived: "_Arrived", live: Live, acceptance: Acceptance
    ) -> Contents:
        if self.fails is not None:
            return look_into(
                incoming.descriptor,
                incoming.path,
                seconds=self.check_seconds,
                site=self.site,
                watch=self.watch,
            )
        return check_snapshot(  # invariant 1
            incoming.descriptor,
            incoming.path,
            seconds=self.check_seconds,
            site=self.site,
            live=live,
            sha256=arrived.sha256,
            clear=self.site.session_tables(),
            account=self.account,
            acceptance=acceptance,
            watch=self.watch,
        )

    def _describe(
        self,
        incoming: Temporary,
        arrived: "_Arrived",
        contents: Contents,
        live: Live,
        acceptance: Acceptance,
    ) -> Manifest:
        warnings, changing = self._check_programs(contents, live)
        return Manifest(
            size=os.fstat(incoming.descriptor).st_size,
            sha256=contents.sha256,
            snapshot_size=arrived.size,
            snapshot_sha256=arrived.sha256,
            staged_at=datetime.now(UTC),
            staged_by=self.staged_by,
            migrations=contents.migrations,
            historic=self._historic(contents, live),
            warnings=tuple(self._warn(arrived, contents, warnings)),
            undoes=self.undoes,
            changing=tuple((each.kind, each.name, each.sql) for each in changing),
            accepted=acceptance.after(contents.defects),
        )

    def _check_programs(
        self, contents: Contents, live: Live
    ) -> tuple[tuple[str, ...], tuple[Program, ...]]:
        """Not those of a kept copy: they were this site's own."""
        if self.undoes:
            return (), ()
        return self.site.check_programs(contents.programs, live, applied=contents.migrations)

    def _historic(self, contents: Contents, live: Live) -> tuple[str, ...]:
        """
        The migrations that count as known at the start: all of a kept copy. Else those that the
        live database has too, and those that were accepted although this release lacks them.
        """
        if self.undoes is not None:
            return contents.migrations
        known = live.migrations.intersection(contents.migrations)
        return tuple(sorted(known.union(self.site.unknown(contents.migrations))))

    def _warn(
        self, arrived: "_Arrived", contents: Contents, of_programs: Iterable[str]
    ) -> Iterator[str]:
        if arrived.is_marked and not arrived.is_ours and not self.undoes:
            yield WAL_MARK
        if self.fails is not None:
            yield (
                f"The kept copy fails the checks of a snapshot: {self.fails.rstrip('.')}. It is put"
                " back unchanged, with its login sessions."
            )
        yield from contents.warnings
        if contents.defects and self.site.plan(contents.migrations):
            yield (
                "The next start has to run migrations on it, which may fail because of its defects."
                " If they fail, the site keeps its current database."
            )
        yield from of_programs
        if self.account is not None and contents.account_is_missing:
            yield (
                f"The account {self.account} is not in the snapshot: it can't log in once this is"
                " applied."
            )


@dataclass(frozen=True)
class _Arrived:
    """An upload as it arrived."""

    size: int
    sha256: str
    is_ours: bool  # byte for byte a snapshot that this site has sent
    is_marked: bool  # its header says WAL mode


def _read_live_in_time(site: Site) -> Live:
    """
    For an undo, which needs it for warnings only: the live database may be the one that somebody
    wants to get rid of, and reading it may never end.
    """
    found: list[Live] = []

    def read() -> None:
        found.append(site.read_live())
        site.disconnect()  # this thread's connections

    thread = threading.Thread(target=read, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the system refuses to start a thread
        return Live()
    thread.join(LIVE_SECONDS)
    return found[0] if found else Live()
