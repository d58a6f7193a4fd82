"""
Reads a stranger's database: ``main``, for a separate process with the limits of an upload's check.

The file is not trusted: whatever it does to SQLite ends this process, and not the import. It
answers one question at a time. Each is a line of JSON, and so is each part of its answer:

    {"tables": true}                                           [table, [column, ...]] of each
    {"from": "tasks", "select": ["id", ...], "order": ["id"]}  [value, ...] of each row
    {"count": "tasks", "column": "x" or null}                  a number

Then comes ``null``, or a text: why there is no more.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from backups.processes.spawn import answering
from backups.sqlite.checking.findings import sentence
from backups.sqlite.checking.messages import Question
from backups.sqlite.checking.pragmas import check_whole
from backups.sqlite.checking.sandbox import Sandbox, confine, limit_process
from backups.sqlite.format.connection import connect
from backups.sqlite.format.schema import find_strange, fold, quote, read_schema

SPARE_BYTES = 1024**2  # for SQLite's index of a WAL
STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's virtual machine: some milliseconds
ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
ALLOWED_FUNCTIONS = {"count", "length"}
EMPTY = ("", "{}", "[]")  # what stands for nothing in a column of theirs
MOST_FINDINGS = 3  # enough to tell what is wrong

Say = Callable[[object], None]


class RefusalError(ValueError):
    """What is wrong with the file, as the rest of a sentence that begins with its name."""


def main(path: str, seconds: str, most_bytes: str) -> None:
    """
    Check the database, then answer the questions on standard input.

    :param path: of the file; its sidecars are beside it. All of them are changed.
    :param seconds: how long the check may take, and after it each answer.
    :param most_bytes: how long a value may be.
    """
    with answering() as answer:

        def say(word: object) -> None:
            print(json.dumps(word, default=str), file=answer, flush=True)

        try:
            _prepare(Path(path), float(seconds))
            say(None)
            for line in sys.stdin:
                _answer(Path(path), json.loads(line), float(seconds), int(most_bytes), say)
                say(None)
        except MemoryError:
            say("needs too much memory to be read.")
        except RefusalError as refusal:
            say(str(refusal))
        except (sqlite3.Error, OSError) as error:
            say(f"can't be read by SQLite: {sentence(error)}")


def _prepare(path: Path, seconds: float) -> None:
    """Leave one file, in rollback-journal mode, that is whole."""
    parts = [path.with_name(f"{path.name}{part}") for part in ("", "-wal", "-journal")]
    size = sum(part.stat().st_size for part in parts if part.exists())
    limit_process(file_bytes=size + SPARE_BYTES, seconds=seconds)
    with closing(connect(path)) as connection:  # takes in the WAL, or takes back what was begun
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
    confine(str(path), functions="", with_site=False)
    sandbox = Sandbox(path, seconds=seconds)
    try:
        _check(sandbox, Question(str(path), seconds))
    except sqlite3.Error:
        if sandbox.is_late:
            raise _late(seconds) from None
        raise
    finally:
        sandbox.close()


def _check(sandbox: Sandbox, question: Question) -> None:
    schema = read_schema(sandbox.connection)
    damage = check_whole(sandbox, question).damage or find_strange(sandbox.connection, schema)
    if damage:
        words = "; ".join(map(sentence, damage[:MOST_FINDINGS]))
        raise RefusalError(f"fails SQLite's integrity check: {words}")


def _answer(
    path: Path, question: dict[str, Any], seconds: float, most_bytes: int, say: Say
) -> None:
    deadline = time.monotonic() + seconds
    with closing(connect(path, mode="immutable")) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
        schema = read_schema(connection)
        tables = {fold(name): name for name in schema.tables if not name.startswith("sqlite_")}
        try:
            for row in _rows(connection, tables, question):
                _check_length(row, question, most_bytes)
                say(row)
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise _late(seconds) from None
            raise


def _rows(
    connection: sqlite3.Connection, tables: dict[str, str], question: dict[str, Any]
) -> Iterator[object]:
    if "tables" in question:
        for table, name in tables.items():
            rows = connection.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
            yield table, [fold(str(row[1])) for row in rows if not row[-1]]  # no computed ones
        return
    connection.set_authorizer(_authorize)
    if "count" in question:
        query = f"SELECT count(*) FROM {quote(tables[question['count']])}"  # noqa: S608
        if column := question["column"]:
            query += f" WHERE {quote(column)} NOT IN (?, ?, ?)"
        yield connection.execute(query, EMPTY if column else ()).fetchone()[0]
        return
    columns = ", ".join(map(quote, question["select"]))
    order = ", ".join(map(quote, question["order"]))
    yield from connection.execute(
        f"SELECT {columns} FROM {quote(tables[question['from']])} ORDER BY {order}"  # noqa: S608
    )


def _authorize(
    action: int, _: str | None, name: str | None, __: str | None, within: str | None
) -> int:
    """Only our own reading; nothing that a view brings along."""
    is_allowed = action in ALLOWED or (
        action == sqlite3.SQLITE_FUNCTION and name in ALLOWED_FUNCTIONS
    )
    return sqlite3.SQLITE_OK if is_allowed and within is None else sqlite3.SQLITE_DENY


def _check_length(row: object, question: dict[str, Any], most: int) -> None:
    if not isinstance(row, tuple) or "from" not in question:
        return
    for column, value in zip(question["select"], row, strict=True):
        if isinstance(value, str | bytes) and len(value) > most:
            raise RefusalError(
                f"has a value of {len(value):,} characters in {question['from']}.{column}, where"
                f" {row[0]!r:.20} is the {question['select'][0]}; the most is {most:,}."
            )


def _late(seconds: float) -> RefusalError:
    return RefusalError(f"was not read within {seconds:g} seconds.")
