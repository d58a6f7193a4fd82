"""
The tokens of the SQL that pg_dump writes, and the statements that they make.

This reads a part of PostgreSQL's SQL, and refuses the rest: a comment between ``/*`` and ``*/``, a
text between dollars, ``U&"…"``, two texts side by side (the second follows the rules of the first).
It reads its part as the server does, given the settings that each dump must have:
``client_encoding = 'UTF8'``, ``standard_conforming_strings = 'on'`` and an empty ``search_path``.

Source: https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/parser/scan.l
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A letter beyond ASCII is part of a name, even one that looks like a space.
_FIRST, _NEXT = r"[A-Za-z_\x80-\U0010ffff]", r"[A-Za-z0-9_$\x80-\U0010ffff]"
_TOKENS = re.compile(
    rf"""
      (?P<space>    [\ \t\n\r\f]++ | --[^\n\r]*+ )
    | (?P<text>     [eE]'(?:[^'\\]|\\.|'')*+' | [bBxX]'[^']*+' | '(?:[^']|'')*+' )
    | (?P<strange>  [uU]&["'] | [eEbBxX]' | /\*  )
    | (?P<quoted>   "(?:[^"]|"")++" )
    | (?P<name>     {_FIRST}{_NEXT}*+ )
    | (?P<number>   (?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?(?!{_NEXT}) )
    | (?P<mark>     [()\[\],;.] | ::? )
    | (?P<operator> [~!@\#^&|`?+\-*/%<>=]++ )
    """,
    re.DOTALL | re.VERBOSE,
)

MOST_TOKENS = 200_000  # of a text: a table with the most columns, 1,600, has 20,000


@dataclass(frozen=True, slots=True)
class Token:
    """
    One word, with ``shape`` for the patterns: a name in capitals, or ``"`` if only its quotes make
    it one; a text is ``'`` and a number 0.
    """

    shape: str
    start: int
    end: int
    name: str = ""  # as the server reads it; empty if it is none


class UnreadableError(Exception):
    """No pg_dump writes this. ``args[0]`` is the text from there on."""


def split(sql: str) -> Iterator[list[Token]]:
    """
    Yield the tokens of each statement of a text, with their places in the text.

    :raises UnreadableError: it has something that can't be read here.
    """
    tokens: list[Token] = []
    for token in _read(sql):
        if token.shape != ";":
            tokens.append(token)
        elif tokens:
            yield tokens
            tokens = []
    if tokens:
        yield tokens


def _read(sql: str) -> Iterator[Token]:
    place, before, count = 0, "", 0
    while place < len(sql):
        match = _TOKENS.match(sql, place)
        if match is None or match.lastgroup == "strange":
            raise UnreadableError(sql[place:])
        kind, text, place = str(match.lastgroup), match[0], match.end()
        if kind == "space":
            continue
        if kind == before == "text" or (kind == "operator" and ("--" in text or "/*" in text)):
            raise UnreadableError(text)
        before, count = kind, count + 1
        if count > MOST_TOKENS:
            raise UnreadableError(sql)
        yield _token(kind, text, match.start(), match.end())


def _token(kind: str, text: str, start: int, end: int) -> Token:
    if kind == "name":
        # What isn't ASCII is no keyword. The server folds no other letters in UTF-8.
        return Token(text.upper() if text.isascii() else '"', start, end, _fold(text))
    if kind == "quoted":
        return Token('"', start, end, text[1:-1].replace('""', '"'))
    return Token({"text": "'", "number": "0"}.get(kind, text), start, end)


def _fold(name: str) -> str:
    return name.encode().lower().decode()
