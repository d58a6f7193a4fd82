"""
The state: a JSON object for each name, in the control database.

One name is for what is pending, another for what the archive and the schedule remember.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg.types.json import Jsonb

from backups.postgres.control import Control
from backups.postgres.server import Connection

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # not a backslash before "u0000"
REMEMBERED = "remembered"  # the name of what the archive and the schedule remember


def recall(control: Control) -> dict[str, Any]:
    """What ``remembering`` has kept; empty at first. Reads only."""
    with control.if_there() as connection:
        return {} if connection is None else read_state(connection, REMEMBERED) or {}


@contextmanager
def remembering(control: Control) -> Iterator[dict[str, Any]]:
    """Yield it for a block that changes it. If the block raises, nothing has changed."""
    with control.transaction() as connection:
        state = read_state(connection, REMEMBERED, lock=True) or {}
        yield state
        write_state(connection, REMEMBERED, state)


def read_state(connection: Connection, name: str, *, lock: bool = False) -> dict[str, Any] | None:
    """
    What is kept under a name; None if nothing is.

    :param lock: let no other transaction change it until this one ends.
    """
    if lock:  # of a row that may not be there yet
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"state {name}"])
    row = connection.execute("SELECT value FROM backups.state WHERE name = %s", [name]).fetchone()
    return row[0] if row is not None and isinstance(row[0], dict) else None


def write_state(connection: Connection, name: str, value: Mapping[str, Any] | None) -> None:
    """Keep this under a name; None to keep nothing."""
    if value is None:
        connection.execute("DELETE FROM backups.state WHERE name = %s", [name])
        return
    connection.execute(
        "INSERT INTO backups.state (name, value) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, fit(value)],
    )


def fit(value: Mapping[str, Any]) -> Jsonb:
    """As PostgreSQL keeps it: with ``?`` for a NUL and for half a surrogate pair."""
    return Jsonb(value, dumps=_dumps)


def _dumps(value: Any) -> str:
    written = json.dumps(value, default=str, ensure_ascii=False).encode(errors="replace").decode()
    return _NUL.sub(r"\1?", written)
