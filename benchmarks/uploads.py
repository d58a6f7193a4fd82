"""What it takes to upload and stage a snapshot, beside a copy and its check by hand."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.sent_snapshots import record_sent
from benchmarks.downloads import Result
from benchmarks.samples import (
    LeftOutError,
    Sample,
    median,
    run_client,
    run_command,
    run_watched,
)
from benchmarks.serving import Server, serving
from benchmarks.stores import Store

BY_HAND = "cp, then PRAGMA integrity_check"
RAW = "upload and stage, raw body"
FORM = "upload and stage, form"
SENT = "upload and stage what this server has sent"


@dataclass(frozen=True)
class Upload:
    """The snapshot that is sent, and the server that it is sent to."""

    snapshot: Path
    server: Server
    store: Store

    def stage(self, *options: str, was_sent: bool = False) -> Sample:
        """Upload it; nothing is pending before and afterwards."""
        self._remember(was_sent)
        url = f"{self.server.url}/api/v1/restore"
        options = (f"--upload={self.snapshot}", *options)
        sample = run_watched(lambda: run_client(url, self.store.key, *options), self.server.pid)
        requests.delete(url, headers={"X-Api-Key": self.store.key}, timeout=60).raise_for_status()
        return sample

    def check_by_hand(self) -> Sample:
        """As somebody does at the shell; nothing is synced."""
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


def measure_uploads(store: Store, *, rounds: int) -> list[Result]:
    """
    Check by hand and upload, in an order that changes, for so many rounds.

    What the one before has left is felt: memory that a virtual machine has given back to its host
    takes long to be had again.
    """
    snapshot = copy_snapshot(store)
    try:
        with serving(store) as server:
            upload = Upload(snapshot, server, store)
            ways: dict[str, Callable[[], Sample]] = {
                BY_HAND: upload.check_by_hand,
                RAW: upload.stage,
                FORM: lambda: upload.stage("--form"),
                SENT: lambda: upload.stage(was_sent=True),
            }
            samples: dict[str, list[Sample]] = {name: [] for name in ways}
            reasons: dict[str, str] = {}
            upload.stage()  # for what the server does the first time only
            for number in range(rounds):
                for name in shuffled([*ways], number):
                    os.sync()  # nobody is to wait for what another has left to be written
                    try:
                        samples[name].append(ways[name]())
                    except LeftOutError as error:
                        reasons[name] = str(error)
    finally:
        snapshot.unlink()
    return [
        Result(name, None if name in reasons else median(samples[name]), reasons.get(name, ""))
        for name in ways
    ]


def shuffled(names: list[str], number: int) -> list[str]:
    """In another order in each round, the same in each run: none always follows another one."""
    return random.Random(number).sample(names, len(names))  # noqa: S311 - nothing secret


def copy_snapshot(store: Store) -> Path:
    """A snapshot of the database, made before anybody has it open."""
    snapshot = store.data.parent / "snapshot.db"
    shutil.copyfile(store.database, snapshot)
    return snapshot
