"""What is asked of the child that checks a file, and what it answers; both travel as JSON."""

import contextlib
import os
from dataclasses import dataclass, field

# What the child says once the file is as it will stay and there is a core for the hash, and what
# the caller says to itself when there is nothing to wait for any more.
UNCHANGED, CHANGED, OVER = b"0", b"1", b"2"


@dataclass(frozen=True)
class Question:
    """What the caller wants to know of a file, and have done to it."""

    path: str
    seconds: float  # by the clock
    clear: tuple[str, ...] = ()  # tables whose rows are to be removed, those that refer first
    account: tuple[str, str, str] | None = None  # table, column, value: is there such a row?
    functions: str = ""  # the module whose register(connection) gives the site's SQL functions
    is_ours: bool = False  # byte for byte what this site has sent: the quick check is enough
    as_it_was: bool = False  # only look what is in it, and neither check nor clear anything
    settled: int = -1  # a pipe on which to say that the file is as it will stay


@dataclass
class Verdict:
    """What was found; of findings the first few. Of a damaged file only the damage is told."""

    damage: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)  # defects that integrity_check found
    broken_references: list[str] = field(default_factory=list)
    defects: dict[str, int] = field(default_factory=dict)  # how many in each place
    unread: str = ""  # why the system refused to read it, which says nothing of the file
    is_late: bool = False  # the time was over before the end
    intruder: str = ""  # a trigger that would have run when rows were removed
    tables: dict[str, list[str]] = field(default_factory=dict)  # of each real one its columns
    programs: list[tuple[str, str, str]] = field(default_factory=list)  # kind, name, SQL
    migrations: list[str] | None = None  # ``app.name`` of each; None without such a table
    migrations_lack: list[str] = field(default_factory=list)  # columns that Django's table has
    account_is_missing: bool = False
    cleared: int = 0  # rows
    changed: bool = False  # whether the bytes are not those that came


def tell_settled(pipe: int, *, changed: bool) -> None:
    """
    Say, in the child, that it changes the file no more. Does nothing without a pipe (-1).

    The pipe stays open: the number of a closed one could be used to open another file. That
    nobody reads it any more is of no importance.
    """
    if pipe >= 0:
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, CHANGED if changed else UNCHANGED)
