"""
What each entry of a dump would do, if pg_restore ran it with ``OPTIONS``.

An entry's kind decides what pg_restore does with it, its text what the server does. So the kind is
one of those known here, and the text is judged by its words alone: a TABLE can hold any SQL.

Source: https://github.com/postgres/postgres/blob/REL_18_STABLE/src/bin/pg_dump/pg_backup_archiver.c
(_tocEntryRequired, restore_toc_entry, _printTocEntry)
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

from backups.exceptions import UnknownSchemaError
from backups.postgres.dumps import statements
from backups.postgres.dumps.archive import Entry
from backups.postgres.dumps.tokens import Token, UnreadableError, split
from backups.sqlite.format.schema import Program

# pg_restore must run with these: what they leave out is not judged.
OPTIONS = (
    *("--no-owner", "--no-privileges", "--no-security-labels"),
    *("--no-publications", "--no-subscriptions"),
)
_LEFT_OUT = frozenset(
    {
        *("ACL", "DEFAULT ACL", "SECURITY LABEL", "SUBSCRIPTION"),
        *("PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"),
        *("DATABASE", "DATABASE PROPERTIES"),  # without --create
    }
)
# They say how all other texts are read, so each must be there once, and as it stands here.
_SETTINGS = {
    "ENCODING": "SET client_encoding = 'UTF8';\n",
    "STDSTRINGS": "SET standard_conforming_strings = 'on';\n",
    "SEARCHPATH": "SELECT pg_catalog.set_config('search_path', '', false);\n",
}
_TABLES = frozenset(
    {
        *("TABLE", "TABLE DATA", "TABLE ATTACH", "DEFAULT", "COMMENT", "SCHEMA", "TYPE"),
        *("SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET", "INDEX", "INDEX ATTACH"),
        *("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "ROW SECURITY", "COLLATION"),
        *("STATISTICS", "MATERIALIZED VIEW DATA"),
    }
)
# The whole text of such an entry is one program, and pg_restore adds nothing to it.
_PROGRAMS = frozenset(
    {
        *("ACCESS METHOD", "AGGREGATE", "CAST", "CONVERSION", "DOMAIN", "EVENT TRIGGER"),
        *("EXTENSION", "FOREIGN DATA WRAPPER", "FOREIGN TABLE", "FUNCTION", "MATERIALIZED VIEW"),
        *("OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "POLICY", "PROCEDURAL LANGUAGE"),
        *("PROCEDURE", "RULE", "SERVER", "SHELL TYPE", "TEXT SEARCH CONFIGURATION"),
        *("TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "TRANSFORM"),
        *("TRIGGER", "USER MAPPING", "VIEW"),
    }
)
_PROGRAM_TYPE = re.compile(r"CREATE TYPE \S+ \. \S+ (?:AS RANGE )?\( \)")
# Where the first words of a text are not those of its entry's kind.
_FIRST_WORDS = {
    "RULE": r"CREATE RULE |CREATE OR REPLACE VIEW ",
    "SHELL TYPE": r"CREATE TYPE ",
    "TRIGGER": r"CREATE (?:CONSTRAINT )?TRIGGER |ALTER TABLE ",
}
_MOST_LETTERS = 120  # of a statement or a name, in a sentence


def judge(entries: Sequence[Entry], watch: Callable[[], None] = lambda: None) -> Iterator[Program]:
    """
    The programs of a dump, if everything else in it is what a Django site's tables need.

    :param watch: is called before each entry.
    :raises UnknownSchemaError: a statement is neither. The message has its first words.
    """
    for kind, sql in _SETTINGS.items():
        if [each.sql for each in entries if each.kind == kind] != [sql]:
            raise UnknownSchemaError(
                f"The dump does not begin with {sql.strip()}, so its texts can't be judged.",
                hint="Nothing was staged. Make it with pg_dump, from a database in UTF-8.",
            )
    for entry in entries:
        watch()
        if entry.kind not in _LEFT_OUT and entry.kind not in _SETTINGS:
            yield from _judge(entry)


def find_programs(entries: Sequence[Entry]) -> Iterator[Program]:
    """
    The programs of a database's own schema. What a dump may not have is skipped, since no dump can
    pass by having the same.
    """
    for entry in entries:
        if entry.kind not in _LEFT_OUT and entry.kind not in _SETTINGS:
            with contextlib.suppress(UnknownSchemaError):
                yield from _judge(entry)


def _judge(entry: Entry) -> Iterator[Program]:
    if entry.kind.startswith("BLOB"):
        raise UnknownSchemaError(
            "The dump has large objects, which a restore does not take.",
            hint="Nothing was staged. Make it with pg_dump --no-blobs, if the site needs none.",
        )
    if entry.has_data or entry.copy:
        _check_rows(entry)
    if entry.access_method not in ("", "heap"):
        raise _refused(entry, f"SET default_table_access_method = {entry.access_method}")
    if entry.kind == "COMMENT" and entry.name.startswith("DATABASE "):
        return  # left out too, without --create
    if entry.kind in _PROGRAMS:
        if not re.match(
            _FIRST_WORDS.get(entry.kind, rf"CREATE [A-Z ]*{entry.kind} "), entry.sql.lstrip()
        ):
            raise _refused(entry, entry.sql)
        yield _program(entry.kind, entry)
    elif entry.kind in _TABLES:
        yield from _judge_statements(entry)
    else:
        raise _refused(entry, entry.sql)


def _check_rows(entry: Entry) -> None:
    """
    The only data that an entry may have is the rows of a table, sent by COPY. pg_restore runs any
    other data as SQL, even that of a large object if its block says that it is rows. What follows
    the COPY is rows to pg_restore, so it must be rows to the server too.
    """
    if entry.kind != "TABLE DATA" or not entry.has_data:
        raise _refused(entry, entry.copy or "data that is not of a table")
    copies = _read(entry, entry.copy)
    if len(copies) != 1 or not statements.is_copy(copies[0]):
        raise _refused(entry, entry.copy or "rows that are not sent by COPY")


def _judge_statements(entry: Entry) -> Iterator[Program]:
    for tokens in _read(entry, entry.sql):
        if _PROGRAM_TYPE.fullmatch(statements.shape(tokens)):
            yield _program("type", entry)
            return  # the whole text is the program
        if not statements.is_known(tokens):
            raise _refused(entry, statements.text(entry.sql, tokens))
        yield from statements.find_programs(entry.sql, tokens)


def _read(entry: Entry, sql: str) -> list[list[Token]]:
    try:
        return list(split(sql))
    except UnreadableError as error:
        raise _refused(entry, error.args[0]) from error


def _program(kind: str, entry: Entry) -> Program:
    name = f"{entry.schema}.{entry.name}" if entry.schema else entry.name
    return Program(kind.lower(), name, entry.sql.strip())


def _refused(entry: Entry, sql: str) -> UnknownSchemaError:
    return UnknownSchemaError(
        "The dump has a statement that no Django site's tables need, in the entry"
        f" {clip(entry.kind)} {clip(entry.name)}: {clip(sql)}",
        hint=(
            "Nothing was staged, and nothing of the dump has run: it would have the rights of this"
            " site. A dump that pg_dump made of this site's own database has no such statement."
        ),
    )


def clip(text: str) -> str:
    """The text in one line, cut where it is too long for a sentence."""
    words = " ".join(text[: 2 * _MOST_LETTERS].split())
    return words if len(words) <= _MOST_LETTERS else f"{words[: _MOST_LETTERS - 1]}…"
