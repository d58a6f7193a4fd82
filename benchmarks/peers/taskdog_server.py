"""
The server that comes with taskdog, which has the same API.

It serves a copy of the benchmark's store, whose tables have the names and columns that it needs. We
add the table in which it looks for the last of its migrations.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import TASKDOG_SERVER, Peers, enter_server
from benchmarks.rounds import Candidate
from benchmarks.samples import Sample, run_client, run_watched
from benchmarks.serving import Server, free_port

UPLOAD = "upload and stage, taskdog's own server"
DOWNLOAD = "taskdog's own server over HTTP (VACUUM INTO, then stream)"
LAST_MIGRATION = "006_remove_daily_allocations_json"
PENDING = ".pending-restore"


@dataclass(frozen=True)
class TaskdogServer:
    """The server and its database."""

    server: Server
    database: Path

    def uploads(self, snapshot: Path) -> list[Candidate]:
        """Its way to a staged snapshot."""
        return [Candidate(UPLOAD, lambda: self._stage(snapshot), self.database)]

    def downloads(self) -> list[Candidate]:
        """Its way to a copy."""
        url = f"{self.server.url}/api/v1/backup"
        return [
            Candidate(
                DOWNLOAD,
                lambda: run_watched(lambda: run_client(url, ""), self.server.pid),
                self.database,
            )
        ]

    def _stage(self, snapshot: Path) -> Sample:
        url, options = f"{self.server.url}/api/v1/restore", (f"--upload={snapshot}", "--form")
        try:
            return run_watched(lambda: run_client(url, "", *options), self.server.pid)
        finally:
            self.database.with_name(self.database.name + PENDING).unlink(missing_ok=True)


@contextmanager
def taskdog_server(peers: Peers, folder: Path, copy: Path) -> Iterator[TaskdogServer]:
    """
    Run it until the end of the block, in an existing folder, with a copy of this database.

    :raises LeftOutError: it is not available, or does not start.
    """
    program = peers.program(TASKDOG_SERVER)
    database = folder / "taskdog" / "tasks.db"
    database.parent.mkdir()
    shutil.copyfile(copy, database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (LAST_MIGRATION,))
    homes = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR")
    with ExitStack() as stack:
        server = enter_server(
            stack,
            [program, "--port", str(free_port())],
            r"Uvicorn running on (\S+)",
            dict.fromkeys(homes, str(folder)),
        )
        yield TaskdogServer(server, database)
