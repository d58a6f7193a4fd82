"""
The check of a file in parts: ``foreign_key_check``, and those of ``integrity_check``.

What ``integrity_check`` finds is what ``quick_check`` finds in the whole file (each tree, each
page that is used twice or not at all, each row, NOT NULL and CHECK) and, table by table, what
does not agree between its rows and its indexes, which is ``integrity_check(table)``. A newer
SQLite counts the entries of an index in both.

Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import contextlib
import sqlite3
from dataclasses import dataclass, field

from backups.sqlite.checking.defects import place_of
from backups.sqlite.checking.findings import (
    MOST_COUNTED,
    MOST_FINDINGS,
    find_broken_references,
    find_damage,
)
from backups.sqlite.checking.messages import Question
from backups.sqlite.checking.sandbox import Sandbox
from backups.sqlite.format.schema import quote

MOST_PARTS = 1_000  # they all fit into the pipe at once
WHOLE = f"integrity_check({MOST_COUNTED})"
QUICK = f"quick_check({MOST_COUNTED})"
STRUCTURE = f"quick_check({MOST_COUNTED + 1})"  # of a file whose tables are checked one by one
REFERENCES = "foreign_key_check"


@dataclass
class Findings:
    """The parts that were checked to their end, and what was found: of findings the first few."""

    done: list[int] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)  # defects that integrity_check found
    broken_references: list[str] = field(default_factory=list)
    defects: dict[str, int] = field(default_factory=dict)  # how many in each place

    @property
    def is_enough(self) -> bool:
        """Whether the rest of the file is of no interest any more."""
        return len(self.damage) >= MOST_FINDINGS

    def check(self, number: int, part: str, sandbox: Sandbox, functions: str) -> None:
        """
        Run one part, and keep what it finds. A file with damage is not asked for its references.

        :raises sqlite3.Error: SQLite can't go on.
        """
        if part != REFERENCES:
            found = find_damage(sandbox, functions, part)
            self._tell([finding for finding in found if place_of(finding) is None])
            if part != STRUCTURE:  # which finds what the check of each table finds too
                self.broken_rules += self._count([each for each in found if place_of(each)])
        elif not self.damage:
            self.broken_references += self._count(find_broken_references(sandbox, functions))
        self.done.append(number)

    def add(self, other: "Findings") -> None:
        """Take over what another process has done and found."""
        self.done += other.done
        self._tell(other.damage)
        self.broken_rules += other.broken_rules
        self.broken_references += other.broken_references
        for place, count in other.defects.items():
            self.defects[place] = self.defects.get(place, 0) + count

    def _count(self, defects: list[str]) -> list[str]:
        """Count them by their places, and return the first few."""
        for finding in defects:
            place = place_of(finding) or finding
            self.defects[place] = self.defects.get(place, 0) + 1
        return defects[:MOST_FINDINGS]

    def _tell(self, damage: list[str]) -> None:
        """Once each: ``quick_check`` and the check of a table can find the same."""
        self.damage = list(dict.fromkeys((*self.damage, *damage)))


def find_parts(connection: sqlite3.Connection) -> list[str]:
    """
    The pragmas that together check a file, the longest first and the references last.

    The integrity check is one of them, undivided, if SQLite is too old to list its tables, or a
    table has a name that no statement can have, or there are too many.
    """
    rows = connection.execute("PRAGMA table_list").fetchall()
    names = [name for schema, name, kind, *_ in rows if schema == "main" and kind != "view"]
    tables = [name for name in names if name not in ("sqlite_schema", "sqlite_master")]
    if (
        not tables
        or len(tables) >= MOST_PARTS
        or any(set(name) & {"\0", "\ufffd"} for name in tables)
    ):
        return [WHOLE, REFERENCES]
    tables.sort(key=lambda name: -_last_row(connection, name))
    checks = [f"integrity_check({quote(name)})" for name in tables]
    return [checks[0], STRUCTURE, *checks[1:], REFERENCES]


def check_whole(sandbox: Sandbox, question: Question) -> Findings:
    """Run the checks that this file needs, undivided. Returns what was found."""
    found = Findings()
    for number, part in enumerate((QUICK if question.is_ours else WHOLE, REFERENCES)):
        found.check(number, part, sandbox, question.functions)
    return found


def _last_row(connection: sqlite3.Connection, table: str) -> int:
    """About how many rows it has; 0 if it does not count them."""
    with contextlib.suppress(sqlite3.Error):
        query = f"SELECT rowid FROM {quote(table)} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
        (last,) = connection.execute(query).fetchone() or (0,)
        return last if isinstance(last, int) else 0
    return 0
