"""
Processes that write to the live database all the time, whatever happens to it.

Each transaction lets an amount go from one account to another. When the server has acknowledged it,
its line of the journal is written down in a file.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from tests.backups.waiting import until
from tests.postgres.stores import ACCOUNTS, Store, transfer
from tests.processes import CHECKOUT

MOST_AT_ONCE = 5  # transactions of one connection
LONGEST_PAUSE = 0.03  # seconds between two connections, so that there are moments without any


@dataclass(frozen=True)
class Writers:
    """Writers that are running."""

    files: list[Path]

    def acknowledged(self) -> set[str]:
        """The lines that the server has committed, as the writers noted them."""
        lines = [path.read_text().splitlines(keepends=True) for path in self.files]
        return {line.strip() for each in lines for line in each if line.endswith("\n")}

    def wait_for_more(self) -> None:
        """Return when each of them has committed one more."""
        before = [path.stat().st_size for path in self.files]
        for path, size in zip(self.files, before, strict=True):
            until(partial(_is_larger, path, size))


def _is_larger(path: Path, size: int) -> bool:
    return path.stat().st_size > size


@contextmanager
def writing(store: Store, folder: Path, number: int = 3) -> Iterator[Writers]:
    """Let so many write for the length of the block."""
    files = [folder / f"writer {each}" for each in range(number)]
    running = []
    try:
        for path in files:
            path.touch()
            words = [store.server.conninfo(store.database), str(path)]
            command = [sys.executable, "-m", "tests.postgres.kills.writers", *words]
            running.append(subprocess.Popen(command, cwd=CHECKOUT))
        writers = Writers(files)
        writers.wait_for_more()
        yield writers
        assert [each.poll() for each in running] == [None] * number
    finally:
        for each in running:
            each.kill()
            each.wait()


def write(conninfo: str, path: Path) -> None:
    """Write until this process is killed."""
    number = 0
    with path.open("ab", buffering=0) as file:
        while True:
            try:
                with psycopg.connect(conninfo, autocommit=True) as connection:
                    for _ in range(random.randint(1, MOST_AT_ONCE)):
                        number += 1  # never twice the same, even if the answer was lost
                        note = f"{path.name}, {number}"
                        debit, credit = random.sample(range(1, ACCOUNTS + 1), 2)
                        with connection.transaction():
                            transfer(connection, note, debit, credit, random.randint(1, 1000))
                        file.write(f"{note}\n".encode())
            except psycopg.OperationalError:
                pass  # disconnected, or refused: it tries again
            time.sleep(random.uniform(0, LONGEST_PAUSE))


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
