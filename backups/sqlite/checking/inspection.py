"""Check a database, and read what is in it: what the child does once it is confined."""

import sqlite3
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from backups.sqlite.checking.findings import (
    MOST_FINDINGS,
    find_unknown,
    find_unread,
    is_of_memory,
    is_of_the_disk,
    sentence,
)
from backups.sqlite.checking.first_entries import find_unreadable_index
from backups.sqlite.checking.inventory import compute_columns, read_contents
from backups.sqlite.checking.messages import Question, Verdict, tell_settled
from backups.sqlite.checking.partners import Partners, cache_bytes
from backups.sqlite.checking.pragmas import Findings, check_whole
from backups.sqlite.checking.rebuild import find_unbuildable
from backups.sqlite.checking.sandbox import CACHE_BYTES, LONGEST_STATEMENT, Sandbox
from backups.sqlite.format.header import use_rollback_journal
from backups.sqlite.format.schema import Schema, find_strange, fold, quote, read_schema

COUNTERS = "sqlite_sequence"


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
        read_contents(connection, question, schema, verdict)
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
    verdict.damage = found.damage or _schema_damage(schema) or find_unreadable_index(connection)
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
    columns = read_contents(connection, question, schema, verdict)
    if not question.is_ours:
        compute_columns(sandbox, columns)


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
