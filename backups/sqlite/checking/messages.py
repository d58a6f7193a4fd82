"""The question to the child that checks a file, and its verdict; both are sent as JSON."""

import contextlib
import os
from dataclasses import dataclass, field, replace
from importlib import import_module

from backups.processes import cores, memory

# The child sends one of the first two once it will not modify the file again and a core is free
# for the hash. The caller sends OVER to its own thread to end the wait.
UNCHANGED, CHANGED, OVER = b"0", b"1", b"2"

SHARED_FROM = 16 * 1024**2  # 16 MiB: integrity_check of a smaller file takes a tenth of a second


@dataclass(frozen=True)
class Question:
    """What the child is to find out about a file, and to do with it."""

    path: str
    seconds: float  # by the clock
    clear: tuple[str, ...] = ()  # tables to remove all rows from, those that refer first
    account: tuple[str, str, str] | None = None  # table, column, value: is there such a row?
    functions: str = ""  # the module whose register(connection) adds the site's SQL functions
    # A module and the arguments of its load(), which loads the site's code before the file is
    # opened; its register(connection) then adds all that the site's connections have.
    setup: tuple[str, ...] = ()
    wanted: str = ""  # what the schema needs from setup, in the words of ``Verdict.unknown``
    is_ours: bool = False  # byte for byte what this site has sent: ``quick_check`` is enough
    as_it_was: bool = False  # only read what is in it: check and clear nothing
    # For the first process of the check, and as much again for all others together.
    memory_bytes: int = field(default_factory=lambda: memory.most)
    processes: int = field(default_factory=cores.for_a_check)  # how many share the check
    shared_from: int = SHARED_FROM  # bytes; a file of that length gets the quicker check
    settled: int = -1  # a pipe for ``tell_settled``


@dataclass
class Verdict:
    """What the child found: the first few findings, and of a damaged file only the damage."""

    doubts: list[str] = field(default_factory=list)  # of the quicker check
    by_sqlite: list[str] = field(default_factory=list)  # tables whose indexes no join can compare
    damage: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)  # defects that integrity_check found
    broken_references: list[str] = field(default_factory=list)
    defects: dict[str, int] = field(default_factory=dict)  # how many in each place
    unread: str = ""  # why the system refused to read the file, which may be whole
    is_late: bool = False  # the time was over before the end
    is_out_of_memory: bool = False
    memory_bytes: int | None = None  # the limit when memory ran out; None if there is none
    unknown: str = ""  # a collation, function or module that the schema uses and nobody has
    is_in_vain: bool = False  # the site's code lacks ``wanted`` too: the file was not opened
    setup_failed: str = ""  # why the site's code could not be loaded
    intruder: str = ""  # a trigger that would have run when rows were removed
    tables: dict[str, list[str]] = field(default_factory=dict)  # real ones, with their columns
    generated: dict[str, list[str]] = field(default_factory=dict)  # their computed columns
    programs: list[tuple[str, str, str]] = field(default_factory=list)  # kind, name, SQL
    migrations: list[str] | None = None  # ``app.name`` of each; None without such a table
    migrations_lack: list[str] = field(default_factory=list)  # columns that Django's table has
    account_is_missing: bool = False
    cleared: int = 0  # how many rows
    changed: bool = False  # whether the child changed the file


def load_setup(question: Question) -> Question:
    """
    Load the site's code, if the question has a ``setup``. Call it before the file is opened.
    Returns the question with ``functions`` that add all that the site's connections have.
    """
    if not question.setup:
        return question
    module, *words = question.setup
    import_module(module).load(*words)
    return replace(question, functions=module)


def lacks_wanted(question: Question) -> bool:
    """
    Whether the loaded code of the site lacks what the schema needs. If so, don't open the file:
    this process knows the site's secrets.
    """
    return bool(question.wanted) and not import_module(question.functions).knows(question.wanted)


def tell_settled(pipe: int, *, changed: bool) -> None:
    """
    Report that this child will not modify the file again; does nothing without a pipe (-1). Leaves
    the pipe open, since another file could get the number of a closed one.
    """
    if pipe >= 0:
        with contextlib.suppress(BrokenPipeError):  # the caller waits no more
            os.write(pipe, CHANGED if changed else UNCHANGED)
