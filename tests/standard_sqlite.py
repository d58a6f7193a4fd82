"""What the standard library's sqlite3 can do and pysqlite3 can't, for either of them."""

import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SERIALIZE = """
import sqlite3, sys
sys.stdout.buffer.write(sqlite3.connect(sys.argv[1]).serialize())
"""


def serialize(connection: sqlite3.Connection) -> bytes:
    """Every page, as SQLite reads it on this connection to a file."""
    if hasattr(connection, "serialize"):
        return connection.serialize()
    # In a process of its own: two SQLite libraries in one drop each other's locks.
    (_, _, path), *_ = connection.execute("PRAGMA database_list")
    command = [sys.executable, "-I", "-S", "-c", SERIALIZE, path]
    return subprocess.run(command, capture_output=True, check=True).stdout


def dump(connection: sqlite3.Connection) -> Iterator[str]:
    """The statements that make this database anew."""
    if hasattr(connection, "iterdump"):
        yield from connection.iterdump()
        return
    path = Path(sysconfig.get_path("stdlib"), "sqlite3", "dump.py")  # which needs nothing else
    spec = spec_from_file_location("sqlite3_dump", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from module._iterdump(connection)
