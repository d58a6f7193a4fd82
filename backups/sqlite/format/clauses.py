"""
The clauses by which a write changes other rows too: ON DELETE CASCADE, ON CONFLICT REPLACE …

A foreign key that cascades an update writes to another table, as a trigger does. No unquoted name
can be ON, and in a table's SQL the word only begins such a clause.

Sources: https://www.sqlite.org/foreignkeys.html (4.3), https://www.sqlite.org/lang_conflict.html,
https://www.sqlite.org/lang_keywords.html
"""

import re
from collections.abc import Iterator

TOKENS = re.compile(
    r"""
      (?P<space>  [\t\n\f\r\x20\ufeff]++ | --[^\n]*+ | /\*.*?(?:\*/|\Z) )
    | (?P<quoted> '(?:[^']|'')*+' | "(?:[^"]|"")*+" | `(?:[^`]|``)*+` | \[[^\]]*+\] )
    | (?P<word>   [A-Za-z0-9_$\x80-\U0010ffff]++ )
    | (?P<other>  . )
    """,
    re.DOTALL | re.VERBOSE,
)
# These change no other rows: SQLite's default, or an action that only refuses.
_HARMLESS = {("no", "action"), ("restrict",), ("abort",), ("fail",), ("rollback",)}
_TWO_WORDS = ("no", "set")  # NO ACTION, SET NULL, SET DEFAULT


def find_clauses(sql: str) -> Iterator[tuple[str, str]]:
    """
    Yield each clause in a table's SQL: alone, and after the definition of its column or
    constraint, which ends where its first clause begins. Case, spaces and quotes do not matter.
    """
    definition: list[str] = []
    depth, before = 0, ""  # of parentheses; the definition, once its first clause has begun
    tokens = list(_tokens(sql))
    for number, (text, is_name) in enumerate(tokens):
        is_mark = not is_name and text in ("(", ")", ",")
        depth += {"(": 1, ")": -1}.get(text, 0) if is_mark else 0
        if is_mark and depth == 1 and text != ")":
            definition, before = [], ""
        elif not is_name and text == "on":
            before = before or " ".join(definition)
            if clause := _clause([word for word, _ in tokens[number : number + 4]]):
                yield clause.upper(), f"{before} {clause}"
        elif not before:
            definition.append(text)


def _clause(words: list[str]) -> str:
    """The clause that begins with these words; empty if it does nothing to other rows."""
    length = 4 if words[2:3] and words[2] in _TWO_WORDS else 3
    return "" if tuple(words[2:length]) in _HARMLESS else " ".join(words[:length])


def _tokens(sql: str) -> Iterator[tuple[str, bool]]:
    """Each token except spaces and comments, and whether it is a quoted name or text."""
    for match in TOKENS.finditer(sql):
        if match.lastgroup == "quoted":
            yield match[0][1:-1].lower(), True
        elif match.lastgroup != "space":
            yield match[0].lower(), False
