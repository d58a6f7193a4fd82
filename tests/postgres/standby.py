"""A standby: a server that replays what another writes, as it is written."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from tests.postgres import programs
from tests.postgres.server import ADMIN, QUICK, START_SECONDS, Server


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """
    A copy of a server that runs and follows it by streaming replication, for reading only. It ends
    with the block; `promote` makes a server of its own of it.
    """
    folder = Path(tempfile.mkdtemp(prefix="standby-"))
    try:
        programs.give(folder)
        copy = Server(primary.version, primary.programs, folder, QUICK, password=primary.password)
        _copy(primary, copy)
        copy.start()
        try:
            yield copy
        finally:
            copy.stop()
    finally:
        rmtree(folder)


def wait_until_equal(primary: Server, standby: Server) -> None:
    """Return when the standby has replayed all that the primary has written until now."""
    [(written,)] = primary.admin("SELECT pg_current_wal_lsn()")
    end = time.monotonic() + START_SECONDS
    query = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
    while standby.admin(query) != [(True,)]:
        assert time.monotonic() < end, standby.log.read_text()
        time.sleep(0.02)  # PostgreSQL 15 has nothing that waits for it


def promote(standby: Server) -> None:
    """Let a standby be a primary; it takes writes when this returns."""
    assert standby.admin("SELECT pg_promote(wait => true)") == [(True,)]


def _copy(primary: Server, copy: Server) -> None:
    """``--checkpoint=fast``: or it waits for the primary's next checkpoint, for minutes."""
    command = [
        *programs.as_user(),
        str(copy.programs / "pg_basebackup"),
        *("--dbname", primary.conninfo("postgres", ADMIN)),
        *("--pgdata", str(copy.data)),
        *("--checkpoint", "fast", "--wal-method", "stream", "--no-sync"),
        "--write-recovery-conf",  # standby.signal, and where the primary is
    ]
    made = subprocess.run(command, cwd=copy.folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
