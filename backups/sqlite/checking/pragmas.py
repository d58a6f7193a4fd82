"""
The check of a file in parts: ``foreign_key_check``, and the parts of ``integrity_check``.

``integrity_check`` finds what ``quick_check`` finds in the whole file (each tree, each page that
is used twice or not at all, each row, NOT NULL and CHECK) and what ``integrity_check(table)``
finds for each table: rows and indexes that disagree. A newer SQLite counts index entries in both.

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

MOST_PARTS = 1_000  # their numbers all fit into a pipe at once
WHOLE = f"integrity_check({MOST_COUNTED})"
QUICK = f"quick_check({MOST_COUNTED})"
STRUCTURE = f"quick_check({MOST_COUNTED + 1})"  # of a file whose tables are checked one by one
REFERENCES = "foreign_key_check"


@dataclass
class Findings:
    """The parts that were checked to the end, and the first few findings of each kind."""

    done: list[int] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)  # defects that integrity_check found
    broken_references: list[str] = field(default_factory=list)
    defects: dict[str, int] = field(default_factory=dict)  # how many in each place

    @property
    def is_enough(self) -> bool:
        """Whether there is enough damage to stop checking."""
        return len(self.damage) >= MOST_FINDINGS

    def check(self, number: int, part: str, sandbox: Sandbox, functions: str) -> None:
        """
        Run one part, and keep what it finds. References are not checked after damage was found.

        :raises sqlite3.Error: SQLite can't go on.
        """
        if part != REFERENCES:
            found = find_damage(sandbox, functions, part)
            self._tell([finding for finding in found if place_of(finding) is None])
            if part != STRUCTURE:  # its defects are found again by the check of each table
                self.broken_rules += self._count([each for each in found if place_of(each)])
        elif not self.damage:
            self.broken_references += self._count(find_broken_references(sandbox, functions))
        self.done.append(number)

    def add(self, other: "Findings") -> None:
        """Add the work of another process."""
        self.done += other.done
        self._tell(other.damage)
        self.broken_rules += other.broken_rules
        self.broken_references += other.broken_references
        for place, count in other.defects.items():
            self.defects[place] = self.defects.get(place, 0) + count

    def _count(self, defects: list[str]) -> list[str]:
        """Count them by place, and return the first few."""
        for finding in defects:
            place = place_of(finding) or finding
            self.defects[place] = self.defects.get(place, 0) + 1
        return defects[:MOST_FINDINGS]

    def _tell(self, damage: list[str]) -> None:
        """Keep each once: ``quick_check`` and the check of a table can find the same."""
        self.damage = list(dict.fromkeys((*self.damage, *damage)))


def find_parts(connection: sqlite3.Connection) -> list[str]:
    """
    The pragmas that together check a file: the slowest first, the references last.

    The integrity check is not divided if SQLite is too old to list the tables, if there are too
    many, or if one has a name that no statement can contain.
    """
    rows = connection.execute("PRAGMA table_list").fetchall()
    names = [name for schema, name, kind, *_ in rows if schema == "main" and kind != "view"]
    tables = [name for name in names if name not in ("sqlite_schema", "sqlite_master")]
    is_nameable = not any(set(name) & {"\0", "\ufffd"} for name in tables)
    if not (tables and is_nameable and len(tables) < MOST_PARTS):
        return [WHOLE, REFERENCES]
    tables.sort(key=lambda name: -_last_row(connection, name))
    checks = [f"integrity_check({quote(name)})" for name in tables]
    return [checks[0], STRUCTURE, *checks[1:], REFERENCES]


def check_whole(sandbox: Sandbox, question: Question) -> Findings:
    """Run the checks that this file needs, undivided."""
    found = Findings()
    for number, part in enumerate((QUICK if question.is_ours else WHOLE, REFERENCES)):
        found.check(number, part, sandbox, question.functions)
    return found


def _last_row(connection: sqlite3.Connection, table: str) -> int:
    """The highest rowid, as a guess at how many rows the table has; 0 if it has none."""
    with contextlib.suppress(sqlite3.Error):
        query = f"SELECT rowid FROM {quote(table)} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
        (last,) = connection.execute(query).fetchone() or (0,)
        return last if isinstance(last, int) else 0
    return 0
