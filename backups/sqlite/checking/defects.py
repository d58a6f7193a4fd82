"""
Defects: what a check finds in a database that SQLite can read all the same.

A *defect* breaks a rule of the schema: a reference to nothing, a NULL in NOT NULL, an index that
does not agree with its table. Sites run for years with such rows. Everything else that a check
finds is *damage*: broken trees and pages, so that rows may be lost.

Findings of one kind in one place are counted together, since row numbers change.

Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import importlib
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from pathlib import Path

from backups.sqlite.checking.findings import (
    MOST_COUNTED,
    find_broken_references,
    find_damage,
    sentence,
)
from backups.sqlite.checking.rebuild import find_unbuildable
from backups.sqlite.checking.sandbox import STEPS_BETWEEN_LOOKS
from backups.sqlite.format.connection import name_in_sql
from backups.sqlite.format.schema import Schema, read_schema

Defects = Mapping[str, int]  # how many there are in each place

# What SQLite (3.40 to 3.53) says of a row or an index, and the place that it is of. Whatever else
# it says is damage: what it finds in trees begins with "*** in database".
_PLACES = [
    (re.compile(pattern, re.DOTALL), place)
    for pattern, place in (
        (r"row(?:id)? -?\d+ missing from (index .+)", r"rows missing from \1"),
        (r"row(?:id)? -?\d+ values differ from (index .+)", r"rows that differ from \1"),
        (r"rowid not at end-of-record for row -?\d+ of (index .+)", r"wrong entries in \1"),
        (r"wrong # of entries in index .+", r"\g<0>"),
        (r"non-unique entry in index .+", r"\g<0>"),
        (r"(?:NULL|NUMERIC|TEXT|non-\w+) value in .+", r"\g<0>"),
        (r"CHECK constraint failed in .+", r"\g<0>"),
        (r"(?:malformed|unable to validate the) inverted index for FTS\d .+", r"\g<0>"),
        (
            r"row \S+ of (.+) refers to a row of (.+) that is not there",
            r"rows of \1 that refer to no row of \2",
        ),
        (r"foreign key mismatch - .+", r"\g<0>"),
        (r"the table .+ can't be rebuilt: .+", r"\g<0>"),
    )
]


def place_of(finding: str) -> str | None:
    """Which kind of defect a finding is, and where; None if it is damage."""
    for pattern, place in _PLACES:
        if match := pattern.fullmatch(finding):
            return match.expand(place)
    return None


def total(defects: Defects) -> str:
    """``1 defect``, ``3 defects``."""
    count = sum(defects.values())
    return f"{count:,} defect{'s' * (count != 1)}"


def new_ones(defects: Defects, before: Defects) -> Defects:
    """Those that are more than there were before, in the same place."""
    return {place: count for place, count in defects.items() if count > before.get(place, 0)}


def find_defects(
    connect: Callable[[], sqlite3.Connection], *, functions: str, seconds: float
) -> Defects:
    """
    The defects of the live database, as far as they are found in time. Reads only.

    :param connect: opens a separate connection, set up as the site's are.
    :param functions: the module whose ``register(connection)`` gives the site's SQL functions.
    :param seconds: by the clock; nothing is known of what is not checked until then.
    """
    found: Counter[str] = Counter()
    with suppress(sqlite3.Error), closing(connect()) as connection:
        live = _Opened(connection, functions, time.monotonic() + seconds)
        for check in _CHECKS:
            with suppress(sqlite3.Error):
                found.update(filter(None, map(place_of, check(live))))
    return found


def look_over(connection: sqlite3.Connection, snapshot: Path, *, seconds: float) -> Defects | None:
    """
    The defects of a snapshot that was just written, as far as a short look finds them. Reads only.

    References first, since they take the least; indexes are not compared with their tables.

    :param connection: to the live database, with all that its schema needs. To be closed after.
    :returns: None if the time was over and nothing was found.
    """
    found: Counter[str] = Counter()
    try:
        connection.execute("ATTACH ? AS snapshot", (name_in_sql(snapshot),))
        opened = _Opened(connection, "", time.monotonic() + seconds)
        found.update(map(_place, find_broken_references(opened, "", of="snapshot")))
        found.update(map(_place, find_damage(opened, "", f"snapshot.quick_check({MOST_COUNTED})")))
    except sqlite3.Error:
        return found or None
    return found


def _place(finding: str) -> str:
    return place_of(finding) or finding


class _Opened:
    """A trusted database that is open, with the site's functions on request."""

    def __init__(self, connection: sqlite3.Connection, functions: str, deadline: float) -> None:
        self.connection = connection
        self.functions = functions
        connection.execute("PRAGMA query_only=ON")
        connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)

    def bring_functions(self, module: str) -> None:
        """As ``Sandbox`` does."""
        importlib.import_module(module).register(self.connection)

    def prepare(self, connection: sqlite3.Connection) -> None:
        """As ``Sandbox`` does."""
        if self.functions:
            importlib.import_module(self.functions).register(connection)


def find_unbuildable_tables(
    schema: Schema, prepare: Callable[[sqlite3.Connection], None]
) -> list[str]:
    """The first table that can't be rebuilt, as a finding; none if all can."""
    if unbuildable := find_unbuildable(schema, prepare):
        name, reason = unbuildable
        return [sentence(f"the table {name} can't be rebuilt: {reason}")]
    return []


_CHECKS: tuple[Callable[[_Opened], Collection[str]], ...] = (
    lambda live: find_broken_references(live, live.functions),
    lambda live: find_damage(live, live.functions, f"integrity_check({MOST_COUNTED})"),
    lambda live: find_unbuildable_tables(read_schema(live.connection), live.prepare),
)
