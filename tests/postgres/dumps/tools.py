"""pg_dump and pg_restore, as the site's role."""

import os
import subprocess
from pathlib import Path

from backups.postgres.dumps.dump import OPTIONS
from tests.postgres.server import Server


def environment(server: Server, database: str) -> dict[str, str]:
    """How the role reaches a database."""
    return {
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": server.role,
        "PGPASSWORD": server.password,
        "PGDATABASE": database,
    }


def take(server: Server, database: str, to: Path, *options: str, programs: Path) -> Path:
    """Dump a database with the programs of some version."""
    words = [str(programs / "pg_dump"), "--format=custom", f"--file={to}", *options]
    subprocess.run(words, env=os.environ | environment(server, database), check=True)
    return to


def restore(server: Server, database: str, dump: Path) -> "subprocess.CompletedProcess[str]":
    """Put a dump into an empty database, as a restore does: all of it, or nothing."""
    words = [
        str(server.programs / "pg_restore"),
        *OPTIONS,
        *("--single-transaction", "--exit-on-error", f"--dbname={database}", str(dump)),
    ]
    return subprocess.run(
        words,
        env=os.environ | environment(server, database),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
