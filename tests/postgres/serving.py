"""
Run tests while a new server runs, on which they put the site: TESTS_DATABASE_URL names it.

    python -m tests.postgres.serving 18 python -m pytest …

With ``newest`` for the version, the newest that is here.
"""

import os
import subprocess
import sys

from tests.postgres import left_out
from tests.postgres.programs import found
from tests.postgres.server import new_server


def main(version: str, *command: str) -> int:
    """:returns: its exit code."""
    left_out.tell()
    with new_server(max(found()) if version == "newest" else int(version)) as server:
        own = {"TESTS_DATABASE_URL": server.url(server.make_database())}
        own["PATH"] = f"{server.programs}:{os.environ['PATH']}"  # an older pg_dump would not do
        return subprocess.run(command, env=os.environ | own, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
