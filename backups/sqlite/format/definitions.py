"""
The columns, the expressions and the WHERE of an index, as they stand in its SQL.

Source: https://www.sqlite.org/lang_createindex.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backups.sqlite.format.clauses import TOKENS

_ORDER = ("asc", "desc")


@dataclass(frozen=True)
class Definition:
    """What CREATE INDEX says in its parentheses and after them."""

    items: list[str]  # each indexed column or expression, with its COLLATE, without ASC or DESC
    where: str  # the condition of a partial index; else empty


def read_definition(sql: str) -> Definition:
    """
    Read the SQL of an index, as ``sqlite_master`` has it.

    :raises ValueError: this is not the SQL of an index.
    """
    tokens = list(TOKENS.finditer(sql))
    marks = list(_marks(tokens))
    if not marks or marks[-1][0] != ")":
        raise ValueError("the SQL of an index has no list of columns")
    ends = [match.start() for _, match in marks[1:]]
    starts = [match.end() for _, match in marks[:-1]]
    items = [_without_order(sql[start:end]) for start, end in zip(starts, ends, strict=True)]
    return Definition(items, _after(sql[marks[-1][1].end() :]))


def _marks(tokens: list["re.Match[str]"]) -> Iterator[tuple[str, "re.Match[str]"]]:
    """The first parenthesis, the commas directly inside it, and the one that closes it."""
    depth = 0
    for match in tokens:
        if match.lastgroup != "other" or match[0] not in ("(", ")", ","):
            continue
        depth += {"(": 1, ")": -1, ",": 0}[match[0]]
        if (match[0], depth) in (("(", 1), (",", 1), (")", 0)):
            yield match[0], match
        if (match[0], depth) == (")", 0):
            return


def _without_order(item: str) -> str:
    words = _words(item)
    if words and words[-1].lastgroup == "word" and words[-1][0].lower() in _ORDER:
        return item[: words[-1].start()].strip()
    return item.strip()


def _after(rest: str) -> str:
    """The condition after WHERE; empty if there is no WHERE."""
    words = _words(rest)
    if not words:
        return ""
    if words[0].lastgroup != "word" or words[0][0].lower() != "where":
        raise ValueError("the SQL of an index goes on after its columns without WHERE")
    return rest[words[0].end() :].strip()


def _words(sql: str) -> list["re.Match[str]"]:
    return [match for match in TOKENS.finditer(sql) if match.lastgroup != "space"]
