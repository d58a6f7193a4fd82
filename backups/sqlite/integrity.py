"""
SQLite's own checks of a file, in a process of their own: ``python -m backups.sqlite.integrity``.

The file is not trusted. A page that makes SQLite crash, loop or eat memory ends this child,
not a worker of the site. Prints one JSON object, the verdict; its caller trusts nothing else,
since an exit code can be lost to a parent that reaps every child.

The file is opened for writing, although a check writes nothing: SQLite checks no CHECK
constraint on a read-only connection. Rows that are to be cleared go first, so that what is
checked is what will be kept. What a check writes is that, and the two bytes of its header that
turn a WAL database without a WAL into one file.

Sources: https://www.sqlite.org/security.html (defence against hostile files),
https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backups.sqlite.header import use_rollback_journal
from backups.sqlite.rebuilding import find_unbuildable
from backups.sqlite.sandbox import Sandbox, limit_process
from backups.sqlite.schema import Schema, fold, quote, read_schema
from backups.sqlite.verdict import Question, Verdict, tell_settled

UNREAD = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY)  # primary codes
OF_THE_FILE = (  # although they are SQLITE_IOERR: our limits on memory and length, and a cut-off
    sqlite3.SQLITE_IOERR_NOMEM,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_SHORT_READ,
)
MOST_FINDINGS = 5  # enough to tell what is wrong; a ruined file has millions
MOST_LETTERS = 300  # of one finding, which may quote the file
MOST_BYTES = 16 * 1024**2  # of a verdict, which the caller holds in memory
MIGRATIONS = "django_migrations"
COUNTERS, COUNTER_COLUMNS = "sqlite_sequence", ["name", "seq"]
MIGRATION_COLUMNS = ("id", "app", "name")
NO_FUNCTION = ("no such function", "unknown function")  # as SQLite says it


def inspect(question: Question) -> Verdict:
    """
    Check a database, tell what is in it, and clear what is to be cleared.

    Damage is believed when it is found twice. SQLite takes a page that the disk refuses for a
    damaged one, and a disk can fail for a moment.

    :raises sqlite3.Error: if SQLite can't open the file at all.
    Source: https://www.sqlite.org/rescode.html#ioerr_corruptfs
    """
    deadline = time.monotonic() + question.seconds
    changed = use_rollback_journal(Path(question.path))
    verdict = _look(question, question.seconds, changed=changed)
    if verdict.damage and not (verdict.unread or verdict.is_late or verdict.intruder):
        again = _look(question, deadline - time.monotonic(), changed=verdict.changed)
        if again.unread or not again.damage:
            again.cleared += verdict.cleared
            return again
    return verdict


def _look(question: Question, seconds: float, *, changed: bool) -> Verdict:
    verdict = Verdict(changed=changed)
    sandbox = Sandbox(Path(question.path), seconds=seconds)
    try:
        _inspect(sandbox, question, verdict)
    except sqlite3.Error as error:
        verdict.is_late = sandbox.is_late
        verdict.intruder = sandbox.intruder
        verdict.damage = [_sentence(f"SQLite can't read it: {error}")]
        if _is_of_the_disk(getattr(error, "sqlite_errorcode", 0)):
            verdict.unread = _sentence(error)
    finally:
        sandbox.close()
    return verdict


def _inspect(sandbox: Sandbox, question: Question, verdict: Verdict) -> None:
    connection = sandbox.connection
    schema = read_schema(connection)
    verdict.cleared = _clear(connection, question.clear, schema)
    verdict.changed = verdict.changed or verdict.cleared > 0
    tell_settled(question.settled, changed=verdict.changed)
    check = "quick_check" if question.is_ours else "integrity_check"
    verdict.damage = _damage(sandbox, question.functions, check) or _schema_damage(sandbox, schema)
    if verdict.damage:
        verdict.unread = _unread(verdict.damage)
        return
    verdict.broken_references = _broken_references(connection)
    verdict.tables = _columns(connection, schema)
    verdict.programs = [(each.kind, each.name, each.sql) for each in schema.programs]
    _read_migrations(connection, verdict)
    verdict.account_is_missing = _is_missing(connection, question.account, verdict.tables)


def _clear(connection: sqlite3.Connection, tables: Collection[str], schema: Schema) -> int:
    """Remove every row of these tables, as far as they are there. Returns how many there were."""
    cleared = 0
    names = {fold(name): name for name in schema.tables}
    for table in tables:
        name = quote(names.get(fold(table), ""))
        if fold(table) in names and connection.execute(f"SELECT 1 FROM {name}").fetchone():  # noqa: S608
            cleared += connection.execute(f"DELETE FROM {name}").rowcount  # noqa: S608
    return cleared


def _damage(sandbox: Sandbox, functions: str, check: str) -> list[str]:
    """A schema may use SQL functions of the site: they are brought only where they are needed."""
    try:
        return _integrity(sandbox.connection, check)
    except sqlite3.OperationalError as error:
        if not functions or not any(words in str(error) for words in NO_FUNCTION):
            raise
    sandbox.bring_functions(functions)
    return _integrity(sandbox.connection, check)


def _integrity(connection: sqlite3.Connection, check: str) -> list[str]:
    rows = connection.execute(f"PRAGMA {check}({MOST_FINDINGS})").fetchall()
    return [] if rows == [("ok",)] else [_sentence(finding) for (finding,) in rows]


def _unread(damage: list[str]) -> str:
    """The finding that is of the disk, if there is one: integrity_check goes on after it."""
    for finding in damage:
        if (match := re.search(r"error code=(\d+)", finding)) and _is_of_the_disk(int(match[1])):
            return f"disk I/O error ({finding})"
    return ""


def _is_of_the_disk(code: int) -> bool:
    """Whether an extended result code is of the disk, and not of what is in the file."""
    return code & 0xFF in UNREAD and code not in OF_THE_FILE


def _schema_damage(sandbox: Sandbox, schema: Schema) -> list[str]:
    """What SQLite's check does not look at, and the first INSERT or the next backup fails of."""
    if unreadable := [name for name in schema.tables if "\ufffd" in name]:
        return [_sentence(f"the name of the table {unreadable[0]} is no UTF-8")]
    counted = [name for name, sql in schema.tables.items() if "autoincrement" in fold(sql)]
    counters = [row[1] for row in sandbox.connection.execute(_table_info(COUNTERS))]
    if counted and (COUNTERS not in schema.tables or counters != COUNTER_COLUMNS):
        return [_sentence(f"there is no table {COUNTERS} as {counted[0]} needs it")]
    if unbuildable := find_unbuildable(schema, sandbox.prepare):
        name, reason = unbuildable
        return [_sentence(f"the table {name} could not be made anew: {reason}")]
    return []


def _broken_references(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchmany(MOST_FINDINGS)
    return [
        _sentence(f"row {rowid} of {table} refers to a row of {parent} that is not there")
        for table, rowid, parent, _ in rows
    ]


def _columns(connection: sqlite3.Connection, schema: Schema) -> dict[str, list[str]]:
    """The columns of each real table, generated ones too. All names are folded."""
    return {
        fold(name): [fold(str(row[1])) for row in connection.execute(_table_info(name))]
        for name in schema.tables
        if "\0" not in name  # no statement can name it
    }


def _table_info(table: str) -> str:
    return f"PRAGMA table_xinfo({quote(table)})"


def _read_migrations(connection: sqlite3.Connection, verdict: Verdict) -> None:
    columns = verdict.tables.get(MIGRATIONS)
    if columns is None:
        return
    verdict.migrations_lack = [name for name in MIGRATION_COLUMNS if name not in columns]
    if not verdict.migrations_lack:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
        verdict.migrations = list(dict.fromkeys(_clip(f"{app}.{name}") for app, name in rows))


def _is_missing(
    connection: sqlite3.Connection,
    account: tuple[str, str, str] | None,
    tables: dict[str, list[str]],
) -> bool:
    if account is None:
        return False
    table, column, value = account
    if fold(column) not in tables.get(fold(table), []):
        return True
    query = f"SELECT 1 FROM {quote(table)} WHERE {quote(column)} = ?"  # noqa: S608
    return connection.execute(query, (value,)).fetchone() is None


def _sentence(finding: object) -> str:
    """One line of a bounded length that can be shown, whatever the file has put into it."""
    return _clip(" ".join(str(finding).split()))


def _clip(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + "…"


def _answer(question: Question) -> str:
    try:
        limit_process(file_bytes=os.stat(question.path).st_size, seconds=question.seconds)
        answer = json.dumps(asdict(inspect(question)))
    except (sqlite3.Error, OSError, ValueError, MemoryError) as error:
        if isinstance(error, OSError) or _is_of_the_disk(getattr(error, "sqlite_errorcode", 0)):
            reason = error.strerror if isinstance(error, OSError) else error
            return json.dumps(asdict(Verdict(unread=_sentence(reason))))
        return _refusal(str(error) or "it takes too much memory")
    if len(answer) > MOST_BYTES:
        return _refusal("its schema or its list of migrations is too long")
    return answer


def _refusal(reason: str) -> str:
    return json.dumps(asdict(Verdict(damage=[_sentence(f"SQLite can't read it: {reason}")])))


def main(question: str) -> None:
    """Print the verdict, the answer to a ``Question`` in JSON, as one JSON object."""
    words: dict[str, Any] = json.loads(question)
    sys.stdout.write(_answer(Question(**words)))


if __name__ == "__main__":
    main(sys.argv[1])
