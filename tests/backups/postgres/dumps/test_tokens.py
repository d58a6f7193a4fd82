"""Statements are split where PostgreSQL splits them, or refused."""

import random

import pytest

from backups.postgres.dumps.tokens import MOST_TOKENS, UnreadableError, split

SEED = 20261127


def shapes(sql: str) -> list[str]:
    return [" ".join(each.shape for each in tokens) for tokens in split(sql)]


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("SELECT 1; select 2", ["SELECT 0", "SELECT 0"]),
        ("", []),
        (" ;; -- a;b'\n ; ", []),
        ("SELECT 'a;b''c\\'; x", ["SELECT '", "X"]),
        (r"SELECT E'a\'; b\\'; x", ["SELECT '", "X"]),
        (r"SELECT e'a''\'';x", ["SELECT '", "X"]),
        ('SELECT "a;b""c";x', ['SELECT "', "X"]),
        ("SELECT B'10';x", ["SELECT '", "X"]),
        ("a -- b ; c\n;d", ["A", "D"]),
        ("a -- b ; c\rx;d", ["A X", "D"]),
        ("a\u00a0b c", ['" C']),  # no space to PostgreSQL: a letter
        ("fooE'a\\';x", ["FOOE '", "X"]),  # the E is of the name before
        ("a$b$c;d$b$", ["A$B$C", "D$B$"]),  # a name, not a text between dollars
        ("1.5e-3 .5 a.b x::y", ["0 0 A . B X :: Y"]),
        ("f(a[1], 'x') ~~ -1", ["F ( A [ 0 ] , ' ) ~~ - 0"]),
        ("\u212aey", ['"']),  # no K to PostgreSQL, though lower() says so
    ],
)
def test_split(sql: str, statements: list[str]) -> None:
    assert shapes(sql) == statements


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'a",
        'SELECT "a',
        'SELECT ""',
        r"SELECT E'a\'",
        "SELECT $$a;b$$",
        "SELECT $a$;$a$",
        "SELECT $1",
        "SELECT 1$a$;$a$",
        "SELECT /* a */ 1",
        "SELECT /* /* */ ; */ 1",
        "SELECT 1 +/* ; */ 2",
        "SELECT 1 <-- ;\n 2",
        "SELECT U&'\\0061'",
        'SELECT u&"\\0061"(1)',
        "\\connect live",
        "\\! id",
        "SELECT 1\v2",  # a space from PostgreSQL 16 on
        "SELECT '\\' \n '; x'",
        "SELECT E'a'\n'b\\'; x'",  # the second text is read by the rules of the first
        "SELECT 'a' -- c\n'b'",
        "SELECT B'1''0'",
        "SELECT 0x1F",
        "SELECT 1_000",
        "SELECT 1a",
        "SELECT {fn x}",
    ],
)
def test_what_pg_dump_does_not_write_is_not_read(sql: str) -> None:
    with pytest.raises(UnreadableError):
        list(split(sql))


def test_a_text_of_too_many_words_is_not_read() -> None:
    with pytest.raises(UnreadableError):
        list(split("a " * (MOST_TOKENS + 1)))


def test_a_name_is_folded_as_the_server_folds_it() -> None:
    (tokens,) = split('Ab "Ab" "a""b" ÄB \'x\' 1')
    assert [each.name for each in tokens] == ["ab", "Ab", 'a"b', "Äb", "", ""]


def test_whatever_is_split_is_all_there() -> None:
    """No part of a text is lost: between two tokens there are spaces and comments only."""
    chance = random.Random(SEED)
    pieces = (
        *("'", '"', "E'", "\\", "$", "$a$", "--", "/*", "*/", "\n", ";", "(", ")", "x", " ", "1"),
        *("U&", "''", '""', "é", ".", "::", "+", "COPY", "\r", "\t", "\0", "b'", "'a'", '"b"'),
    )
    read = 0
    for _ in range(30_000):
        sql = "".join(chance.choices(pieces, k=chance.randint(1, 12)))
        try:
            tokens = [token for statement in split(sql) for token in statement]
        except UnreadableError:
            continue
        read += 1
        rest, place = "", 0
        for token in tokens:
            rest, place = rest + sql[place : token.start], token.end
        for line in (rest + sql[place:]).replace("\r", "\n").split("\n"):
            left = line.split("--")[0]
            assert set(left) <= set(" \t\n\f;"), (sql, left)
    assert read > 3000
