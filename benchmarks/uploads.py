"""What it takes to upload and stage a snapshot, beside a copy and its check by hand."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.sent_snapshots import record_sent
from benchmarks.memory import proportional_of_all, wait_until_idle
from benchmarks.peers import Peers, litestream, pocketbase, taskdog_server
from benchmarks.peers.together import running_peers
from benchmarks.rounds import Candidate, Result, run_rounds
from benchmarks.samples import Sample, run_client, run_command, run_watched
from benchmarks.serving import Server, serving
from benchmarks.stores import Store

BY_HAND = "cp, then PRAGMA integrity_check"
RAW = "upload and stage, raw body"
FORM = "upload and stage, form"
SENT = "upload and stage what this server has sent"
THEIRS = taskdog_server.UPLOAD
FULL = "all that integrity_check finds; foreign keys"
CHECKED = {
    BY_HAND: "integrity_check",
    RAW: FULL,
    FORM: FULL,
    SENT: "quick_check",
    THEIRS: "integrity_check",
    pocketbase.UPLOAD: "nothing",
    litestream.RESTORE: "its own checksums",
    litestream.CHECKED_RESTORE: "integrity_check",
}
WARM_UPS = 8  # at most
CALM_UPLOADS = 3  # in a row: one may come to a process that had one before
CALM_BYTES = 1_000_000


@dataclass(frozen=True)
class Upload:
    """The snapshot that is sent, and the server that it is sent to."""

    snapshot: Path
    server: Server
    store: Store

    def candidates(self) -> list[Candidate]:
        """The check by hand, and our ways to upload."""
        live = self.store.database
        return [
            Candidate(BY_HAND, self._check_by_hand, live),
            Candidate(RAW, self._stage, live),
            Candidate(FORM, lambda: self._stage("--form"), live),
            Candidate(SENT, lambda: self._stage(was_sent=True), live),
        ]

    def warm_up(self) -> None:
        """
        Upload until the server's memory stays the same: first use makes shared pages private, in
        each of its processes.
        """
        before, calm = 0, 0
        for _ in range(WARM_UPS):
            self._stage()
            wait_until_idle(self.server.pid)
            now = proportional_of_all(self.server.pid)
            calm = calm + 1 if now - before < CALM_BYTES else 0
            if calm == CALM_UPLOADS:
                return
            before = now

    def _stage(self, *options: str, was_sent: bool = False) -> Sample:
        """Upload it; nothing is pending before or afterwards."""
        self._remember(was_sent)
        url = f"{self.server.url}/api/v1/restore"
        options = (f"--upload={self.snapshot}", *options)
        sample = run_watched(lambda: run_client(url, self.store.key, *options), self.server.pid)
        requests.delete(url, headers={"X-Api-Key": self.store.key}, timeout=60).raise_for_status()
        return sample

    def _check_by_hand(self) -> Sample:
        """As an operator does in a shell; nothing is synced."""
        copy = self.store.data.parent / "copy.db"
        try:
            return run_command(
                *("sh", "-c", 'cp "$0" "$1" && sqlite3 "$1" "PRAGMA integrity_check"'),
                *(self.snapshot, copy),
            )
        finally:
            copy.unlink(missing_ok=True)

    def _remember(self, was_sent: bool) -> None:
        paths = StorePaths.of(self.store.database)
        paths.sent.unlink(missing_ok=True)
        if was_sent:
            size = self.snapshot.stat().st_size
            record_sent(paths, sha256=files.sha256(self.snapshot), size=size)


def measure_uploads(store: Store, *, rounds: int, peers: Peers | None = None) -> list[Result]:
    """
    Check by hand and upload for so many rounds.

    :param peers: run these too, and each candidate also beside a writer; None: no peer, no writer.
    """
    with copied_snapshot(store) as snapshot, serving(store) as server:
        upload = Upload(snapshot, server, store)
        upload.warm_up()
        ours = upload.candidates()
        if peers is None:
            return run_rounds([Candidate(each.name, each.run) for each in ours], rounds)
        with running_peers(peers, snapshot, lambda peer: peer.uploads(snapshot)) as theirs:
            candidates, left_out = theirs
            return run_rounds(ours + candidates, rounds) + left_out


@contextmanager
def copied_snapshot(store: Store) -> Iterator[Path]:
    """A snapshot of the database. Nobody may have that open."""
    snapshot = store.data.parent / "snapshot.db"
    shutil.copyfile(store.database, snapshot)
    try:
        yield snapshot
    finally:
        snapshot.unlink()
