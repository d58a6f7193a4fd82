"""How much longer a start takes that applies a pending restore."""

import statistics
import time
from dataclasses import dataclass

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.sent_snapshots import record_sent
from benchmarks.samples import run_client
from benchmarks.serving import serving
from benchmarks.stores import Store
from benchmarks.uploads import copied_snapshot


@dataclass(frozen=True)
class Starts:
    """Seconds until the server listens, medians."""

    without: float
    applying: float
    hashing: float  # of the pending file, which an apply does once

    @property
    def rest(self) -> float:
        """What an apply costs that is not its hash."""
        return self.applying - self.without - self.hashing


def measure_starts(store: Store, *, rounds: int) -> Starts:
    """Start, stage, start again, for so many rounds. The restored content is the same."""
    without, applying, hashing = [], [], []
    with copied_snapshot(store) as snapshot:
        for _ in range(rounds):
            with serving(store) as server:
                without.append(server.start_seconds)
                size = snapshot.stat().st_size
                paths = StorePaths.of(store.database)
                record_sent(paths, sha256=files.sha256(snapshot), size=size)  # a quick staging
                run_client(f"{server.url}/api/v1/restore", store.key, f"--upload={snapshot}")
            hashing.append(_hash(paths))
            with serving(store) as server:
                applying.append(server.start_seconds)
            if paths.pending.exists():
                raise RuntimeError("the restore was not applied")
    return Starts(*map(statistics.median, (without, applying, hashing)))


def _hash(paths: StorePaths) -> float:
    started = time.perf_counter()
    files.sha256(paths.pending)
    return time.perf_counter() - started
