"""Clauses of a table that act: found wherever they stand, and nothing else is taken for one."""

import sqlite3
from contextlib import closing

import pytest

from backups.sqlite.format.clauses import find_clauses
from backups.sqlite.format.schema import Program, read_schema


@pytest.mark.parametrize(
    ("definition", "clauses"),
    [
        ("a REFERENCES p (x) ON UPDATE CASCADE", {"ON UPDATE CASCADE": "a references p ( x )"}),
        ("a REFERENCES p ON DELETE SET NULL", {"ON DELETE SET NULL": "a references p"}),
        (
            "a, b INT REFERENCES p ON DELETE SET DEFAULT",
            {"ON DELETE SET DEFAULT": "b int references p"},
        ),
        (
            "a, FOREIGN KEY (a) REFERENCES p (x) on delete cascade ON UPDATE SET NULL",
            {
                "ON DELETE CASCADE": "foreign key ( a ) references p ( x )",
                "ON UPDATE SET NULL": "foreign key ( a ) references p ( x )",
            },
        ),
        ("a NOT NULL ON/**/CONFLICT--\n IGNORE", {"ON CONFLICT IGNORE": "a not null"}),
        ("a UNIQUE ON \ufeffCONFLICT REPLACE", {"ON CONFLICT REPLACE": "a unique"}),
        (
            "a DEFAULT (max(1, 2)) UNIQUE ON CONFLICT REPLACE",
            {"ON CONFLICT REPLACE": "a default ( max ( 1 , 2 ) ) unique"},
        ),
        ("a REFERENCES p ON DELETE NO ACTION ON UPDATE RESTRICT DEFERRABLE INITIALLY DEFERRED", {}),
        ("a UNIQUE ON CONFLICT ABORT", {}),
        ("a DEFAULT 'x ON DELETE CASCADE'", {}),
        (
            '"on delete cascade" TEXT, [on] INT, `a` INT /* ON DELETE CASCADE */ --ON DELETE\n',
            {},
        ),
        ("onset INT, a CHECK (a IN ('on', 'off'))", {}),
    ],
)
def test_clause_is_found_with_the_definition_that_it_is_of(
    definition: str, clauses: dict[str, str]
) -> None:
    sql = f"CREATE TABLE t ({definition})"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(sql)  # each of them is SQL
        found = [each for each in read_schema(connection).programs if each.kind == "clause"]
    expected = {f"{before} {words.lower()}" for words, before in clauses.items()}
    assert {each.sql for each in found} == expected
    assert {each.name for each in found} == {f"t: {words}" for words in clauses}
    assert dict(find_clauses(sql)).keys() == clauses.keys()


def test_spelling_is_no_matter_and_what_is_referred_to_is() -> None:
    def clauses(sql: str) -> list[Program]:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(sql)
            return read_schema(connection).programs

    one = clauses('CREATE TABLE t ("a" INT REFERENCES "p" ("x") ON DELETE CASCADE)')
    assert one == clauses("CREATE TABLE t (a int references [p](x)  on delete cascade, b)")
    assert one != clauses("CREATE TABLE t (a INT REFERENCES q (x) ON DELETE CASCADE)")
    assert one != clauses("CREATE TABLE t (b INT REFERENCES p (x) ON DELETE CASCADE)")


def test_sql_without_an_end_is_read_in_no_time() -> None:
    for rest in ("/* a " * 50_000, '"a' * 50_000, "(" * 100_000, "on " * 20_000):
        assert list(find_clauses(f"CREATE TABLE t ({rest}")) is not None
