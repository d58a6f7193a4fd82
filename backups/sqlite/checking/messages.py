"""What is asked of the child that checks a file, and what it answers; both travel as JSON."""

import contextlib
import os
import re
from dataclasses import dataclass, field, replace
from importlib import import_module

from backups.processes import memory

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
    # A module outside the core, and what its load() takes. It loads the site's code before the
    # file is opened; its register(connection) then gives all that the site's connections have.
    setup: tuple[str, ...] = ()
    wanted: str = ""  # what the schema needs of that, as ``Verdict.unknown`` has it
    is_ours: bool = False  # byte for byte what this site has sent: the quick check is enough
    as_it_was: bool = False  # only look what is in it, and neither check nor clear anything
    memory_bytes: int = field(default_factory=lambda: memory.most)  # for each of the two processes
    settled: int = -1  # a pipe on which to say that the file is as it will stay


@dataclass
class Verdict:
    """What was found; of findings the first few. Of a damaged file only the damage is reported."""

    damage: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)  # defects that integrity_check found
    broken_references: list[str] = field(default_factory=list)
    defects: dict[str, int] = field(default_factory=dict)  # how many in each place
    unread: str = ""  # why the system refused to read it, which says nothing of the file
    is_late: bool = False  # the time was over before the end
    is_out_of_memory: bool = False  # it wanted more than this process may have
    memory_bytes: int | None = None  # which is so much; None if there is no limit
    unknown: str = ""  # a collation, function or module that the schema uses and nobody has
    is_in_vain: bool = False  # the site's own do not have that either: the file was not opened
    setup_failed: str = ""  # why the site's own could not be loaded
    intruder: str = ""  # a trigger that would have run when rows were removed
    tables: dict[str, list[str]] = field(default_factory=dict)  # of each real one its columns
    generated: dict[str, list[str]] = field(default_factory=dict)  # of those the computed ones
    programs: list[tuple[str, str, str]] = field(default_factory=list)  # kind, name, SQL
    migrations: list[str] | None = None  # ``app.name`` of each; None without such a table
    migrations_lack: list[str] = field(default_factory=list)  # columns that Django's table has
    account_is_missing: bool = False
    cleared: int = 0  # rows
    changed: bool = False  # whether the bytes are not those that came


UNKNOWN = re.compile(r"(?:no such|unknown) (collation|function|module)(?: sequence)?: ([^\s()]+)")


def find_unknown(message: str) -> str:
    """The collation, function or module that SQLite says it does not know; empty if none."""
    return f"{match[1]} {match[2]}" if (match := UNKNOWN.search(message)) else ""


def load_setup(question: Question) -> Question:
    """
    Load the site's code, if that is asked for. Returns the question, to be answered with what
    the site's connections have.

    For a process that has not opened the file yet.
    """
    if not question.setup:
        return question
    module, *words = question.setup
    import_module(module).load(*words)
    return replace(question, functions=module)


def lacks_wanted(question: Question) -> bool:
    """
    Whether the site's code that was loaded lacks what the schema needs. Then there is no reason
    to open the file in a process that knows the site's secrets.
    """
    return bool(question.wanted) and not import_module(question.functions).knows(question.wanted)


def tell_settled(pipe: int, *, changed: bool) -> None:
    """
    Say, in the child, that it changes the file no more. Does nothing without a pipe (-1).

    The pipe stays open: the number of a closed one could be used to open another file. That
    nobody reads it any more is of no importance.
    """
    if pipe >= 0:
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, CHANGED if changed else UNCHANGED)
