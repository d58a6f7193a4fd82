"""
SQLite's own checks of a file: ``main``, for a separate process.

The file is not trusted. A page that makes SQLite crash, loop or eat memory ends this child,
not a worker of the site. Answers with one JSON object, the verdict; its caller trusts nothing
else, since an exit code can be lost to a parent that reaps every child.

The file is opened for writing, although a check writes nothing: SQLite checks no CHECK
constraint on a read-only connection. Rows that are to be cleared go first, so that what is
checked is what will be kept. What a check writes is that, and the two bytes of its header that
turn a WAL database without a WAL into one file.

Sources: https://www.sqlite.org/security.html (defence against hostile files),
https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from backups.processes import limits
from backups.processes.lifeline import end_with_parent
from backups.processes.spawn import answering, leave
from backups.sqlite.checking.defects import find_unbuildable_tables
from backups.sqlite.checking.findings import (
    MOST_FINDINGS,
    clip,
    find_unread,
    is_of_memory,
    is_of_the_disk,
    sentence,
)
from backups.sqlite.checking.messages import (
    Question,
    Verdict,
    find_unknown,
    lacks_wanted,
    load_setup,
)
from backups.sqlite.checking.partner import Partner
from backups.sqlite.checking.pragmas import check_whole
from backups.sqlite.checking.sandbox import LONGEST_STATEMENT, Sandbox, confine, limit_process
from backups.sqlite.format.header import use_rollback_journal
from backups.sqlite.format.schema import (
    Columns,
    Schema,
    find_strange,
    fold,
    quote,
    read_columns,
    read_schema,
)

MOST_BYTES = 16 * 1024**2  # of a verdict, which the caller holds in memory
MIGRATIONS = "django_migrations"
COUNTERS = "sqlite_sequence"
MIGRATION_COLUMNS = ("id", "app", "name")


def inspect(question: Question, *, enter: Callable[[], None] = lambda: None) -> Verdict:
    """
    Check a database, tell what is in it, and clear what is to be cleared.

    What is wrong is believed when it is found twice. SQLite takes a page that the disk refuses
    for a damaged one, and a disk can fail for a moment. The second look is undivided, so that it
    counts each defect once.

    :param enter: called once before the file is opened by SQLite, when no process is to be
        started any more.
    :raises sqlite3.Error: if SQLite can't open the file at all.
    Source: https://www.sqlite.org/rescode.html#ioerr_corruptfs
    """
    deadline = time.monotonic() + question.seconds
    changed = use_rollback_journal(Path(question.path))
    with closing(Partner(question)) as partner:
        enter()
        verdict = _look(question, question.seconds, changed=changed, partner=partner)
    is_of_the_file = not (verdict.unread or verdict.is_late or verdict.intruder or verdict.unknown)
    if (verdict.damage or verdict.defects) and is_of_the_file:
        again = _look(question, deadline - time.monotonic(), changed=verdict.changed)
        if again.unread or not again.damage:
            again.cleared += verdict.cleared
            return again
    return verdict


def _look(
    question: Question, seconds: float, *, changed: bool, partner: Partner | None = None
) -> Verdict:
    verdict = Verdict(changed=changed)
    sandbox = Sandbox(Path(question.path), seconds=seconds)
    try:
        _inspect(sandbox, question, verdict, partner)
    except sqlite3.Error as error:
        verdict.is_late = sandbox.is_late
        verdict.intruder = sandbox.intruder
        verdict.unknown = find_unknown(str(error))
        verdict.damage = [sentence(f"SQLite can't read it: {error}")]
        if is_of_memory(getattr(error, "sqlite_errorcode", 0)):
            raise MemoryError from error
        if is_of_the_disk(getattr(error, "sqlite_errorcode", 0)):
            verdict.unread = sentence(error)
    finally:
        sandbox.close()
    return verdict


def _inspect(
    sandbox: Sandbox, question: Question, verdict: Verdict, partner: Partner | None
) -> None:
    connection = sandbox.connection
    if question.setup:
        sandbox.bring_functions(question.functions)
    schema = read_schema(connection)
    if question.as_it_was:
        _read_contents(connection, question, schema, verdict)
        return
    strange = find_strange(connection, schema)
    sandbox.intruder = ""  # to list views, SQLite looks into them, and has done nothing
    if strange:
        verdict.damage = [sentence(each) for each in strange[:MOST_FINDINGS]]
        return
    verdict.cleared = _clear(connection, question.clear, schema)
    verdict.changed = verdict.changed or verdict.cleared > 0
    found = (
        partner.check(sandbox, changed=verdict.changed)
        if partner is not None
        else check_whole(sandbox, question)
    )
    verdict.damage = found.damage or _schema_damage(schema)
    if verdict.damage:
        verdict.unread = find_unread(verdict.damage)
        return
    verdict.broken_rules = found.broken_rules
    verdict.broken_references = found.broken_references
    verdict.defects = found.defects
    for finding in _unbuildable(sandbox, schema, question.functions):
        verdict.unknown = find_unknown(finding)
        verdict.broken_rules.append(finding)
        verdict.defects[finding] = 1
    columns = _read_contents(connection, question, schema, verdict)
    if not question.is_ours:
        _compute(sandbox, columns)


def _read_contents(
    connection: sqlite3.Connection, question: Question, schema: Schema, verdict: Verdict
) -> dict[str, Columns]:
    """Returns the columns of each real table, by its own name."""
    columns = {
        name: read_columns(connection.execute(f"PRAGMA table_xinfo({quote(name)})"))
        for name in schema.tables
    }
    verdict.tables = {fold(table): each.names for table, each in columns.items()}
    verdict.generated = {
        fold(table): each.generated for table, each in columns.items() if each.generated
    }
    verdict.programs = [(each.kind, each.name, each.sql) for each in schema.programs]
    _read_migrations(connection, verdict)
    verdict.account_is_missing = _is_missing(connection, question.account, verdict.tables)
    return columns


def _clear(connection: sqlite3.Connection, tables: Collection[str], schema: Schema) -> int:
    """Remove every row of these tables, as far as they are there. Returns how many there were."""
    cleared = 0
    names = {fold(name): name for name in schema.tables}
    for table in tables:
        name = quote(names.get(fold(table), ""))
        if fold(table) in names and connection.execute(f"SELECT 1 FROM {name}").fetchone():  # noqa: S608
            cleared += connection.execute(f"DELETE FROM {name}").rowcount  # noqa: S608
    return cleared


def _unbuildable(sandbox: Sandbox, schema: Schema, functions: str) -> list[str]:
    """The table that can't be rebuilt, with the site's SQL functions if it needs them."""
    findings = find_unbuildable_tables(schema, sandbox.prepare)
    if functions and any(map(find_unknown, findings)):
        sandbox.bring_functions(functions)
        findings = find_unbuildable_tables(schema, sandbox.prepare)
    return findings


def _schema_damage(schema: Schema) -> list[str]:
    """What SQLite's check does not look at, and the first INSERT or the next backup fails of."""
    if unreadable := [name for name in schema.tables if "\ufffd" in name]:
        return [sentence(f"the name of the table {unreadable[0]} is not UTF-8")]
    for name, sql in schema.tables.items():
        longest = max((sql, *schema.indexes.get(name, ())), key=len)
        if len(longest.encode("utf-8", "replace")) > LONGEST_STATEMENT:
            return [sentence(f"a statement that makes the table {name} is too big")]
    counted = [name for name, sql in schema.tables.items() if "autoincrement" in fold(sql)]
    if counted and COUNTERS not in schema.tables:
        return [sentence(f"there is no usable table {COUNTERS}, which {counted[0]} needs")]
    return []


def _compute(sandbox: Sandbox, columns: Mapping[str, Columns]) -> None:
    """
    Compute each generated column that is not stored. SQLite's check does not, and the first query
    of the site must not be what finds out that one has no end.

    :raises sqlite3.Error: the time is over, or there is no memory left. Other errors, of a row
        that an expression can't compute, are the site's own affair.
    """
    for table, each in columns.items():
        for column in each.virtual:
            query = f"SELECT count({quote(column)}) FROM {quote(table)} NOT INDEXED"  # noqa: S608
            try:
                sandbox.connection.execute(query).fetchone()
            except sqlite3.Error as error:
                if sandbox.is_late or is_of_memory(getattr(error, "sqlite_errorcode", 0)):
                    raise


def _read_migrations(connection: sqlite3.Connection, verdict: Verdict) -> None:
    columns = verdict.tables.get(MIGRATIONS)
    if columns is None:
        return
    verdict.migrations_lack = [name for name in MIGRATION_COLUMNS if name not in columns]
    if not verdict.migrations_lack:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
        if any(not isinstance(word, str) or "\ufffd" in word for row in rows for word in row):
            # Django could not read them: nothing of the live database would be known afterwards.
            verdict.damage = ["a row of django_migrations has a name that is not text"]
        verdict.migrations = list(dict.fromkeys(clip(f"{app}.{name}") for app, name in rows))


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


def _answer(question: Question) -> str:
    try:
        limit_process(
            file_bytes=os.stat(question.path).st_size,
            seconds=question.seconds,
            memory_bytes=question.memory_bytes,
        )
        enter = partial(
            confine, question.path, functions=question.functions, with_site=bool(question.setup)
        )
        answer = json.dumps(asdict(inspect(question, enter=enter)))
    except MemoryError:
        return _out_of_memory()
    except (sqlite3.Error, OSError, ValueError) as error:
        if isinstance(error, OSError) or is_of_the_disk(getattr(error, "sqlite_errorcode", 0)):
            reason = error.strerror if isinstance(error, OSError) else error
            return json.dumps(asdict(Verdict(unread=sentence(reason))))
        return _refusal(str(error))
    if len(answer) > MOST_BYTES:
        return _refusal("its schema or its list of migrations is too long")
    return answer


def _refusal(reason: str) -> str:
    return json.dumps(asdict(Verdict(damage=[sentence(f"SQLite can't read it: {reason}")])))


def _out_of_memory() -> str:
    limit = limits.address_space()
    return json.dumps(asdict(Verdict(is_out_of_memory=True, memory_bytes=limit)))


def main(question: str) -> None:
    """Answer with the verdict: both it and the ``Question`` are one JSON object."""
    words: dict[str, Any] = json.loads(question)
    asked = Question(**words)
    end_with_parent()
    with answering() as answer:
        try:
            asked = load_setup(asked)
        except (Exception, SystemExit) as error:  # whatever the site's code raises
            failed = sentence(f"{type(error).__name__}: {error}")
            answer.write(json.dumps(asdict(Verdict(setup_failed=failed))))
        else:
            if lacks_wanted(asked):
                answer.write(json.dumps(asdict(Verdict(is_in_vain=True))))
            else:
                answer.write(_answer(asked))
    if asked.setup:
        leave()
