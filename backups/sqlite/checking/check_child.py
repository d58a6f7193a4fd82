"""
SQLite's own checks of a file: ``main``, for a separate process.

The file is not trusted. A page that makes SQLite crash, loop or use all memory ends this child,
not a worker of the site. The answer is one JSON object, the verdict.

The file is opened for writing because SQLite does not check CHECK constraints on a read-only
connection. Only two changes are made: the header's mark of WAL mode is removed, and rows are
cleared. Both happen first, so that what is checked is what will be kept.

Sources: https://www.sqlite.org/security.html (defence against hostile files),
https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import json
import os
import sqlite3
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from backups.processes import limits
from backups.processes.lifeline import end_with_parent
from backups.processes.spawn import answering, leave
from backups.sqlite.checking.findings import (
    MOST_FINDINGS,
    clip,
    find_unknown,
    find_unread,
    is_of_memory,
    is_of_the_disk,
    sentence,
)
from backups.sqlite.checking.messages import (
    Question,
    Verdict,
    lacks_wanted,
    load_setup,
    tell_settled,
)
from backups.sqlite.checking.partners import Partners, cache_bytes
from backups.sqlite.checking.pragmas import Findings, check_whole
from backups.sqlite.checking.rebuild import find_unbuildable
from backups.sqlite.checking.sandbox import (
    CACHE_BYTES,
    LONGEST_STATEMENT,
    Sandbox,
    confine,
    limit_process,
)
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

MOST_BYTES = 16 * 1024**2  # of a verdict, since the caller holds it in memory
MIGRATIONS = "django_migrations"
COUNTERS = "sqlite_sequence"
MIGRATION_COLUMNS = ("id", "app", "name")


def inspect(question: Question, partners: Partners | None = None) -> Verdict:
    """
    Check a database, read what is in it, and clear rows as asked.

    Findings count only if a second check confirms them: a page that the disk can't read looks
    damaged to SQLite, and a disk can fail for a moment. The second is always SQLite's own check of
    the whole file, so that each defect is counted once and reported in SQLite's words.

    :param partners: the processes that share the quicker check of a large file.
    :raises sqlite3.Error: SQLite can't open the file at all.
    Source: https://www.sqlite.org/rescode.html#ioerr_corruptfs
    """
    deadline = time.monotonic() + question.seconds
    changed = use_rollback_journal(Path(question.path))
    verdict = _check_once(question, question.seconds, changed=changed, partners=partners)
    is_of_the_file = not (verdict.unread or verdict.is_late or verdict.intruder or verdict.unknown)
    if is_of_the_file and (verdict.doubts or verdict.damage or verdict.defects):
        left = deadline - time.monotonic()
        again = _check_once(replace(question, settled=-1), left, changed=verdict.changed)
        # If both report damage, the first report stays. A doubt reports none.
        if not verdict.damage or again.unread or not again.damage:
            again.cleared += verdict.cleared
            again.doubts = verdict.doubts
            again.by_sqlite = verdict.by_sqlite
            return again
    return verdict


def _check_once(
    question: Question, seconds: float, *, changed: bool, partners: Partners | None = None
) -> Verdict:
    verdict = Verdict(changed=changed)
    in_parts = partners if partners is not None and partners.is_wanted else None
    cache = CACHE_BYTES if in_parts is None else cache_bytes(question)
    sandbox = Sandbox(Path(question.path), seconds=seconds, cache_bytes=cache)
    try:
        _inspect(sandbox, question, verdict, in_parts)
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
    sandbox: Sandbox, question: Question, verdict: Verdict, partners: Partners | None
) -> None:
    connection = sandbox.connection
    if question.setup:
        sandbox.bring_functions(question.functions)
    schema = read_schema(connection)
    if question.as_it_was:
        _read_contents(connection, question, schema, verdict)
        return
    strange = find_strange(connection, schema)
    sandbox.intruder = ""  # SQLite only looked into views to list them
    if strange:
        verdict.damage = [sentence(each) for each in strange[:MOST_FINDINGS]]
        return
    verdict.cleared = _clear(connection, question.clear, schema)
    verdict.changed = verdict.changed or verdict.cleared > 0
    found = Findings()
    if partners is not None:
        verdict.doubts = partners.find_doubts(sandbox, changed=verdict.changed)
        verdict.by_sqlite = partners.by_sqlite
        if verdict.doubts:
            return
    else:
        tell_settled(question.settled, changed=verdict.changed)
        found = check_whole(sandbox, question)
    verdict.damage = found.damage or _schema_damage(schema)
    if verdict.damage:
        verdict.unread = find_unread(verdict.damage)
        return
    verdict.broken_rules = found.broken_rules
    verdict.broken_references = found.broken_references
    verdict.defects = found.defects
    if finding := _unbuildable(sandbox, schema, question.functions):
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
    verdict.account_is_missing = _is_missing(connection, question, verdict)
    return columns


def _clear(connection: sqlite3.Connection, tables: Collection[str], schema: Schema) -> int:
    """Remove all rows of those tables that exist. Returns how many there were."""
    cleared = 0
    names = {fold(name): name for name in schema.tables}
    for table in tables:
        name = quote(names.get(fold(table), ""))
        if fold(table) in names and connection.execute(f"SELECT 1 FROM {name}").fetchone():  # noqa: S608
            cleared += connection.execute(f"DELETE FROM {name}").rowcount  # noqa: S608
    return cleared


def _unbuildable(sandbox: Sandbox, schema: Schema, functions: str) -> str:
    """As ``find_unbuildable``, with the site's SQL functions if the schema needs them."""
    finding = find_unbuildable(schema, sandbox.prepare)
    if functions and find_unknown(finding):
        sandbox.bring_functions(functions)
        finding = find_unbuildable(schema, sandbox.prepare)
    return finding


def _schema_damage(schema: Schema) -> list[str]:
    """What SQLite's check overlooks, and what makes the first INSERT or the next snapshot fail."""
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
    Compute each generated column that is not stored, which SQLite's check does not do: the site's
    first query must not be what discovers an endless one.

    :raises sqlite3.Error: the time is over, or there is no memory left. A row that an expression
        can't compute does not raise: the site may expect that.
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
    if (columns := verdict.tables.get(MIGRATIONS)) is None:
        return
    verdict.migrations_lack = [name for name in MIGRATION_COLUMNS if name not in columns]
    if not verdict.migrations_lack:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
        if any(not isinstance(word, str) or "\ufffd" in word for row in rows for word in row):
            # Django could not read them, so the site would not know its live database afterwards.
            verdict.damage = ["a row of django_migrations has a name that is not text"]
        verdict.migrations = list(dict.fromkeys(clip(f"{app}.{name}") for app, name in rows))


def _is_missing(connection: sqlite3.Connection, question: Question, verdict: Verdict) -> bool:
    if question.account is None:
        return False
    table, column, value = question.account
    if fold(column) not in verdict.tables.get(fold(table), []):
        return True
    query = f"SELECT 1 FROM {quote(table)} WHERE {quote(column)} = ?"  # noqa: S608
    return connection.execute(query, (value,)).fetchone() is None


def _answer(asked: Question, partners: Partners) -> str:
    if lacks_wanted(asked):
        return json.dumps(asdict(Verdict(is_in_vain=True)))
    try:
        return _check(asked, partners)
    except (MemoryError, sqlite3.Error, OSError, ValueError) as error:
        return json.dumps(asdict(_failure(error)))


def _check(asked: Question, partners: Partners) -> str:
    size, with_site = os.stat(asked.path).st_size, bool(asked.setup)
    limit_process(file_bytes=size, seconds=asked.seconds, memory_bytes=asked.memory_bytes)
    confine(asked.path, functions=asked.functions, with_site=with_site)
    answer = json.dumps(asdict(inspect(asked, partners)))
    if len(answer) > MOST_BYTES:
        raise ValueError("its schema or its list of migrations is too long")
    return answer


def _failure(error: Exception) -> Verdict:
    """The verdict on a file whose check raised this error."""
    if isinstance(error, MemoryError):
        return Verdict(is_out_of_memory=True, memory_bytes=limits.address_space())
    if isinstance(error, OSError):
        return Verdict(unread=sentence(error.strerror))
    if is_of_the_disk(getattr(error, "sqlite_errorcode", 0)):
        return Verdict(unread=sentence(error))
    return Verdict(damage=[sentence(f"SQLite can't read it: {error}")])


def main(question: str) -> None:
    """Answer with the verdict: both it and the ``Question`` are one JSON object."""
    asked = Question(**json.loads(question))
    end_with_parent()
    with closing(Partners(asked)) as partners, answering() as answer:
        try:
            asked = load_setup(asked)
        except (Exception, SystemExit) as error:  # the site's code may raise anything
            failed = Verdict(setup_failed=sentence(f"{type(error).__name__}: {error}"))
            answer.write(json.dumps(asdict(failed)))
        else:
            answer.write(_answer(asked, partners))
    if asked.setup:
        leave()
