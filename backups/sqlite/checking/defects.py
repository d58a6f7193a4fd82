"""
Defects: what a check finds wrong in a database that SQLite can read nevertheless.

A *defect* breaks a rule of the schema: a reference to nothing, a NULL in NOT NULL, an index that
disagrees with its table. Sites run for years with such rows. Everything else that a check finds
is *damage*: trees and pages are broken, and rows may be lost.

Defects are counted by kind and place, since row numbers change.

Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import importlib
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from backups.sqlite.checking.findings import MOST_COUNTED, find_broken_references, find_damage
from backups.sqlite.checking.rebuild import find_unbuildable
from backups.sqlite.checking.sandbox import STEPS_BETWEEN_LOOKS
from backups.sqlite.format.connection import name_in_sql
from backups.sqlite.format.schema import read_schema

Defects = Mapping[str, int]  # how many there are in each place

# What SQLite (3.40 to 3.53) says about a row or an index, and the kind and place of the defect. All
# else is damage: findings about trees begin with "*** in database".
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
    """The kind and place of a defect; None if the finding is damage."""
    for pattern, place in _PLACES:
        if match := pattern.fullmatch(finding):
            return match.expand(place)
    return None


def total(defects: Defects) -> str:
    """``1 defect``, ``3 defects``."""
    count = sum(defects.values())
    return f"{count:,} defect{'s' * (count != 1)}"


def new_ones(defects: Defects, before: Defects) -> Defects:
    """The places with more defects than before."""
    return {place: count for place, count in defects.items() if count > before.get(place, 0)}


def find_defects(
    connect: Callable[[], sqlite3.Connection], *, functions: str, seconds: float
) -> Defects:
    """
    The defects of the live database that are found in time. Reads only.

    :param connect: opens a separate connection, set up as the site's are.
    :param functions: the module whose ``register(connection)`` adds the site's SQL functions.
    :param seconds: time by the clock; what is not checked by then is left out.
    """
    found: Counter[str] = Counter()
    with suppress(sqlite3.Error), closing(connect()) as connection:
        live = _Opened(connection, functions, time.monotonic() + seconds)
        checks: tuple[Callable[[], list[str]], ...] = (
            lambda: find_broken_references(live, functions),
            lambda: find_damage(live, functions, f"integrity_check({MOST_COUNTED})"),
            lambda: [find_unbuildable(read_schema(connection), live.prepare)],
        )
        for check in checks:
            with suppress(sqlite3.Error):
                found.update(filter(None, map(place_of, check())))
    return found


def look_over(connection: sqlite3.Connection, snapshot: Path, *, seconds: float) -> Defects | None:
    """
    The defects of a new snapshot that a short look finds. Reads only.

    Checks references first, which is fastest; does not compare indexes with their tables.

    :param connection: to the live database, with all that its schema needs. Close it afterwards.
    :returns: None if the look failed, or the time was over, before it found any.
    """
    found: Counter[str] = Counter()
    try:
        connection.execute("ATTACH ? AS snapshot", (name_in_sql(snapshot),))
        opened = _Opened(connection, "", time.monotonic() + seconds)
        references = find_broken_references(opened, "", of="snapshot")
        found.update(place_of(each) or each for each in references)
        others = find_damage(opened, "", f"snapshot.quick_check({MOST_COUNTED})")
        found.update(place_of(each) or each for each in others)
    except sqlite3.Error:
        return found or None
    return found


class _Opened:
    """An open database that is trusted, and read only. Has the methods of ``Sandbox``."""

    def __init__(self, connection: sqlite3.Connection, functions: str, deadline: float) -> None:
        self.connection = connection
        self.functions = functions
        connection.execute("PRAGMA query_only=ON")
        connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)

    def bring_functions(self, module: str) -> None:
        importlib.import_module(module).register(self.connection)

    def prepare(self, connection: sqlite3.Connection) -> None:
        if self.functions:
            importlib.import_module(self.functions).register(connection)
