"""
Litestream, which copies a database to a replica and then adds each change.

It adds two tables to the database, and keeps a folder with a copy beside it.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import LITESTREAM, Peers
from benchmarks.rounds import Candidate
from benchmarks.samples import Sample, run_command

DOWNLOAD = "litestream replicate -once, to a new file replica"
RESTORE = "litestream restore, of a file replica"
CHECKED_RESTORE = f"{RESTORE}, -integrity-check full"


@dataclass(frozen=True)
class Litestream:
    """The program, and the database that it may change."""

    program: Path
    database: Path

    def downloads(self) -> list[Candidate]:
        """Its way to a copy: what it does at its first start."""
        return [Candidate(DOWNLOAD, self._replicate, self.database)]

    def uploads(self, _snapshot: Path) -> list[Candidate]:
        """Its way back, with and without a check."""
        self._replicate()
        return [
            Candidate(RESTORE, self._restore, self.database),
            Candidate(
                CHECKED_RESTORE, lambda: self._restore("-integrity-check", "full"), self.database
            ),
        ]

    @property
    def _replica(self) -> Path:
        return self.database.with_name("replica")

    @property
    def _url(self) -> str:
        return f"file://{self._replica}"

    def _replicate(self) -> Sample:
        for folder in (self._replica, self.database.with_name(f".{self.database.name}-litestream")):
            shutil.rmtree(folder, ignore_errors=True)
        return run_command(self.program, "replicate", "-once", self.database, self._url)

    def _restore(self, *options: str) -> Sample:
        output = self.database.with_name("restored.db")
        try:
            return run_command(self.program, "restore", *options, "-o", output, self._url)
        finally:
            output.unlink(missing_ok=True)


@contextmanager
def litestream(peers: Peers, folder: Path, copy: Path) -> Iterator[Litestream]:
    """
    Prepare it for the length of the block, in an existing folder, with a copy of this database.

    :raises LeftOutError: it is not available.
    """
    program = peers.program(LITESTREAM)
    database = folder / copy.name
    shutil.copyfile(copy, database)
    yield Litestream(program, database)
