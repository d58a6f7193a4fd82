"""
The integrity check of a large file in parts, so that two processes can share them.

What ``integrity_check`` finds is what ``quick_check`` finds in the whole file (each tree, each
page that is used twice or not at all, each row, NOT NULL and CHECK) and, table by table, what
does not agree between its rows and its indexes, which is ``integrity_check(table)``. Each process
takes the next part that nobody has; the longest come first.

Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import contextlib
import json
import os
import select
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from backups.sqlite.damage import MOST_FINDINGS, find_damage
from backups.sqlite.sandbox import Sandbox, limit_process
from backups.sqlite.schema import quote
from backups.sqlite.verdict import Question

SHARED_FROM = 64 * 1024**2  # 64 MiB: below, a second process costs more than it saves
MOST_PARTS = 1_000  # they all fit into the pipe at once
WHOLE = f"integrity_check({MOST_FINDINGS})"
QUICK = f"quick_check({MOST_FINDINGS})"

_NUMBER = struct.Struct("=I")  # of a part; a pipe gives four bytes to one reader at a time


@dataclass
class Share:
    """The parts that one process has checked to their end, and what it found."""

    done: list[int] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


class Partner:
    """A second process, which waits for parts to check; none for a file that is small."""

    def __init__(self, question: Question) -> None:
        """Start it, so that it is ready when the file is as it will stay."""
        self.is_there = os.path.getsize(question.path) >= SHARED_FROM and _cores() > 1
        if not self.is_there:
            return
        self._parts, self._hand_out = os.pipe()
        words = json.dumps(asdict(replace(question, clear=(), account=None, settled=-1)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backups.sqlite.shares", words],
            stdin=self._parts,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def check(self, sandbox: Sandbox, functions: str) -> list[str]:
        """
        Check the whole file together, or alone if there is no other. Returns what was found.

        What the other does not say that it has done is done here.

        :raises sqlite3.Error: SQLite can't go on.
        """
        parts = find_parts(sandbox.connection) if self.is_there else [WHOLE]
        if len(parts) < 2:
            return find_damage(sandbox, functions, WHOLE)
        os.write(self._hand_out, b"".join(map(_NUMBER.pack, range(len(parts)))))
        os.close(self._hand_out)
        self._hand_out = -1
        ours = check_share(sandbox, functions, parts, self._parts)
        theirs = self._answer()
        damage = ours.damage + theirs.damage
        for number in set(range(len(parts))) - {*ours.done, *theirs.done}:
            damage += find_damage(sandbox, functions, parts[number])
        return damage[:MOST_FINDINGS]

    def close(self) -> None:
        """End it, if it has not ended."""
        if not self.is_there:
            return
        self._process.kill()
        self._process.communicate()
        for descriptor in (self._parts, self._hand_out):
            if descriptor >= 0:
                os.close(descriptor)

    def _answer(self) -> Share:
        """What the other has done; nothing, if it does not say so in time or in our words."""
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, TypeError):
            return Share(**json.loads(self._process.stdout.read()))
        return Share()


def find_parts(connection: sqlite3.Connection) -> list[str]:
    """
    The pragmas that together are an ``integrity_check``, the longest first.

    Only one, that check itself, if SQLite is too old to list its tables, or a table has a name
    that no statement can have, or there are too many.
    """
    rows = connection.execute("PRAGMA table_list").fetchall()
    names = [name for schema, name, kind, *_ in rows if schema == "main" and kind != "view"]
    tables = [name for name in names if name not in ("sqlite_schema", "sqlite_master")]
    if (
        not tables
        or len(tables) >= MOST_PARTS
        or any(set(name) & {"\0", "\ufffd"} for name in tables)
    ):
        return [WHOLE]
    tables.sort(key=lambda name: -_last_row(connection, name))
    checks = [f"integrity_check({quote(name)})" for name in tables]
    return [checks[0], QUICK, *checks[1:]]


def check_share(sandbox: Sandbox, functions: str, parts: list[str], handed_out: int) -> Share:
    """Check one part after another, until there is none left or enough is found."""
    share = Share()
    for number in _numbers(handed_out):
        share.damage += find_damage(sandbox, functions, parts[number])
        share.done.append(number)
        if len(share.damage) >= MOST_FINDINGS:
            break
    return share


def _numbers(handed_out: int) -> Iterator[int]:
    while raw := os.read(handed_out, _NUMBER.size):
        yield _NUMBER.unpack(raw)[0]


def _last_row(connection: sqlite3.Connection, table: str) -> int:
    """About how many rows it has; 0 if it does not count them."""
    with contextlib.suppress(sqlite3.Error):
        query = f"SELECT rowid FROM {quote(table)} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
        (last,) = connection.execute(query).fetchone() or (0,)
        return last if isinstance(last, int) else 0
    return 0


def _cores() -> int:
    """On how many this process may run."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def main(question: str) -> None:
    """Check what is handed out on standard input; print what was done as one JSON object."""
    asked = Question(**json.loads(question))
    limit_process(file_bytes=os.stat(asked.path).st_size, seconds=asked.seconds)
    handed_out = sys.stdin.fileno()
    select.select([handed_out], [], [])  # when there is a part, the file is as it will stay
    sandbox = Sandbox(Path(asked.path), seconds=asked.seconds)
    parts = find_parts(sandbox.connection)
    share = check_share(sandbox, asked.functions, parts, handed_out)
    sys.stdout.write(json.dumps(asdict(share)))


if __name__ == "__main__":
    main(sys.argv[1])
