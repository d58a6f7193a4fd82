"""What a schema makes: told from its SQL, whatever a row claims to be, and as SQLite takes it."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from backups.sqlite.format.schema import (
    Program,
    Schema,
    find_contradiction,
    fold,
    quote,
    read_schema,
    sort_out,
)

Row = tuple[object, object, object, object, object]

TRIGGER = "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END"


def test_real_schema_is_told_apart(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executescript(
            """
            CREATE TABLE plain (a PRIMARY KEY, b AS (a + 1) VIRTUAL);
            CREATE UNIQUE INDEX by_b ON plain (b);
            CREATE VIEW seen AS SELECT * FROM plain;
            CREATE TRIGGER acts AFTER INSERT ON plain BEGIN SELECT 1; END;
            CREATE VIRTUAL TABLE words USING fts5 (a);
            """
        )
        schema = read_schema(connection)
        assert find_contradiction(connection, schema) == ""
    assert set(schema.tables) == {
        "plain",
        *(f"words_{part}" for part in ("data", "idx", "content", "docsize", "config")),
    }
    assert schema.indexes == {"plain": ["CREATE UNIQUE INDEX by_b ON plain (b)"]}
    assert sorted(map(str, schema.programs)) == ["trigger acts", "view seen", "virtual table words"]
    assert Program("view", "seen", "CREATE VIEW seen AS SELECT * FROM plain") in schema.programs
    assert schema.strange == []


def test_whatever_sqlite_has_written_is_known() -> None:
    """However it was asked for: SQLite keeps the name and what follows it, and no more."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            """
            create /* TRIGGER */ table if not exists main.Foo (a primary key, b unique);
            CREATE TABLE "we ird" (a); CREATE TABLE [b r] (x); CREATE TABLE 'q''q' (x);
            CREATE TABLE `t`/* ( */ -- (
              (a);
            CREATE TABLE "" (a); CREATE TABLE "if" (a PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE "\ufeffx" (a); CREATE TABLE äö$1(a); CREATE TABLE made AS SELECT 1 AS a;
            CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT);
            create unique index main.i on foo(a); CREATE INDEX "ix"ON"we ird"(a);
            CREATE TEMP TRIGGER t1 AFTER INSERT ON foo BEGIN SELECT 1; END;
            create trigger main.t2 delete on foo begin select 1; end;
            CREATE TRIGGER [t 3] UPDATE OF a ON foo BEGIN SELECT 1; END;
            CREATE VIEW v1 (a) AS SELECT 1; CREATE VIEW v2 AS SELECT 1;
            CREATE TRIGGER t4 INSTEAD OF INSERT ON v1 BEGIN SELECT 1; END;
            CREATE VIRTUAL TABLE found USING fts5 (a);
            CREATE VIRTUAL TABLE "r"USING rtree (i, a, b);
            ANALYZE; ALTER TABLE Foo RENAME TO Bar; ALTER TABLE found RENAME TO lost;
            ALTER TABLE counted ADD COLUMN x DEFAULT 3;
            """
        )
        schema = read_schema(connection)
        assert find_contradiction(connection, schema) == ""
    assert schema.strange == []
    assert {"Bar", "we ird", "b r", "q'q", "t", "", "if", "\ufeffx", "äö$1"} <= set(schema.tables)
    assert set(schema.indexes) == {"Bar", "we ird"}
    assert set(map(str, schema.programs)) == {
        *("trigger t2", "trigger t 3", "trigger t4", "view v1", "view v2"),
        *("virtual table lost", "virtual table r"),
    }


@pytest.mark.parametrize(
    "sql",
    [
        TRIGGER.replace(" TRIGGER", " \ufeffTRIGGER"),
        "\ufeff" + TRIGGER,
        TRIGGER.encode(),
        TRIGGER.lower(),
        TRIGGER.replace("CREATE", "CREATE TEMP"),
        TRIGGER.replace("CREATE", "CREATE /* TABLE x ( */"),
        TRIGGER.replace("CREATE ", "CREATE -- TABLE x (\n"),
        TRIGGER.replace(" ", "\t", 1),
        TRIGGER.replace("x", "IF NOT EXISTS x"),
        TRIGGER.replace("x", "other"),
        TRIGGER.replace("x", "\ufeffx"),
        TRIGGER + "\0",
        "",
        "CREATE",
        "DROP TABLE x",
        "CREATE TABLES x",
        7,
        None,
    ],
)
def test_row_that_sqlite_has_not_written_so_is_strange(sql: object) -> None:
    schema = sort_out([("trigger", "x", "t", 0, sql)])
    assert schema.programs == []
    (sentence,) = schema.strange
    assert "trigger x" in sentence


@pytest.mark.parametrize(
    "row",
    [
        ("table", "x", "x", 2, "CREATE TABLE x (a)"),
        ("index", "i", "x", 3, "CREATE INDEX i ON x (a)"),
        ("index", "sqlite_autoindex_x_1", "x", 4, None),
        ("view", "v", "v", 0, "CREATE VIEW v AS SELECT 1"),
        ("trigger", "t", "x", 0, "CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; END"),
        ("table", "w", "w", 0, "CREATE VIRTUAL TABLE w USING fts5 (a)"),
    ],
    ids=["table", "index", "automatic index", "view", "trigger", "virtual table"],
)
def test_row_must_agree_with_its_sql_in_each_word(row: Row) -> None:
    assert sort_out([row]).strange == []
    type_, name, table, page, sql = row
    is_trigger, is_stored = type_ == "trigger", page != 0
    others: list[Row] = [
        ("table" if type_ != "table" else "view", name, table, page, sql),
        (None, name, table, page, sql),
        (b"table", name, table, page, sql),
        ("other", name, table, page, sql),
        (type_, "other", table, page, sql),
        (type_, "sqlite_other", table, page, sql),
        (type_, None, table, page, sql),
        (type_, name, 7, page, sql),
        *([] if is_trigger else [(type_, name, "other", page, sql)]),
        (type_, name, table, 0 if is_stored else 2, sql),
        (type_, name, table, -1, sql),
        (type_, name, table, 1, sql),  # the page of the schema itself
        (type_, name, table, None, sql),
        (type_, name, table, "2" if is_stored else "0", sql),
        (type_, name, table, page, "CREATE TABLE other (a)"),
    ]
    assert [other for other in others if not sort_out([other]).strange] == []


@pytest.mark.parametrize(
    "row",
    [
        (
            "table",
            "sqlite_stat1",
            "sqlite_stat1",
            3,
            "CREATE TABLE sqlite_stat1(tbl,idx,x,stat AS (x))",
        ),
        (
            "table",
            "sqlite_stat1",
            "sqlite_stat1",
            3,
            "CREATE TABLE sqlite_stat1(tbl,idx,stat CHECK (x))",
        ),
        ("table", "SQLITE_STAT4", "SQLITE_STAT4", 3, "CREATE TABLE SQLITE_STAT4(tbl)"),
        (
            "table",
            "sqlite_sequence",
            "sqlite_sequence",
            3,
            "CREATE TABLE sqlite_sequence(seq,name)",
        ),
        ("index", "i", "sqlite_stat1", 4, "CREATE INDEX i ON sqlite_stat1 (abs(tbl))"),
        ("index", "sqlite_autoindex_sqlite_stat1_1", "sqlite_stat1", 4, None),
        (
            "trigger",
            "t",
            "sqlite_stat1",
            0,
            "CREATE TRIGGER t DELETE ON sqlite_stat1 BEGIN SELECT 1; END",
        ),
    ],
)
def test_table_of_sqlite_itself_is_just_as_it_makes_it(row: Row) -> None:
    """It reads the statistics before the first query: a computed column would run in each one."""
    assert sort_out([row]).strange != []


def test_sql_of_comments_without_end_is_read_in_no_time() -> None:
    """A pattern that tries every way to part them would not come back."""
    for start in ("CREATE TABLE x ", "CREATE INDEX x ON ", 'CREATE VIEW "'):
        assert sort_out([("table", "x", "x", 2, start + "/* a */ " * 20_000 + "/*")]).strange
        assert sort_out([("table", "x", "x", 2, start + '""' * 50_000)]).strange


# What SQLite makes of a row is asked of SQLite itself

BLANKS = (" ", " ", " ", "", "\t", "\n", "\v", "\f", "\r", "\0", "\ufeff", "\xa0", "\u2028")
COMMENTS = ("/**/", "/* TABLE x ( */", "-- TABLE x (\n", "/*/", "--\n", "/* a", "-")
MODIFIERS = (
    "",
    "",
    "",
    "",
    "",
    "",
    "TEMP",
    "TEMPORARY",
    "UNIQUE",
    "VIRTUAL",
    "IF NOT EXISTS",
    "main.",
)
NAMES = (
    "x",
    "x",
    "x",
    "x",
    '"x"',
    "[x]",
    "`x`",
    "'x'",
    "X",
    "\ufeffx",
    "x\ufeff",
    '"x',
    "if",
    "main.x",
    "",
)
OBJECTS = {
    "TABLE": "(a)",
    "INDEX": "ON t (a)",
    "VIEW": "AS SELECT 1",
    "TRIGGER": "AFTER INSERT ON t BEGIN SELECT a FROM t; END",
    "VIRTUAL TABLE": "USING fts5 (a)",
}
TYPES = ("table", "index", "view", "trigger", "TABLE", "", None, 7, b"table")
PAGES = (0, 0, 2, 2, 1, None, "0", -1)


def _spaces(chance: random.Random) -> str:
    if chance.random() < 0.8:
        return " "
    return "".join(chance.choices((*BLANKS, *COMMENTS), k=chance.randint(1, 2)))


def _word(chance: random.Random, word: str) -> str:
    return word if chance.random() < 0.9 else chance.choice((word.lower(), word.title(), word[:-1]))


def _forged(chance: random.Random) -> Row:
    """A row of a schema that is no table's as SQLite writes it, or very nearly so."""
    kind, tail = chance.choice(list(OBJECTS.items()))
    name = chance.choice(NAMES)
    if chance.random() < 0.1:
        tail = chance.choice(list(OBJECTS.values()))
    words = [_word(chance, "CREATE"), chance.choice(MODIFIERS), _word(chance, kind), name, tail]
    sql: object = "".join(f"{word}{_spaces(chance)}" for word in words if word)
    if chance.random() < 0.1:
        sql = _spaces(chance).strip(" ") + str(sql)
    if chance.random() < 0.1:
        sql = str(sql).encode()
    own = {"VIEW": "view", "TRIGGER": "trigger", "INDEX": "index"}.get(kind, "table")
    page = 2 if kind in ("TABLE", "INDEX") else 0
    type_ = own if chance.random() < 0.8 else chance.choice(TYPES)
    table = "t" if kind in ("INDEX", "TRIGGER") and chance.random() < 0.8 else "x"
    return type_, "x", table, page if chance.random() < 0.8 else chance.choice(PAGES), sql


def _with_row(connection: sqlite3.Connection, row: Row) -> Schema:
    """Add the row to the schema of an empty database, and read it as SQLite does after that."""
    connection.execute("CREATE TABLE t (a)")
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    schema = read_schema(connection)
    with suppress(sqlite3.DatabaseError):  # SQLite refuses it, and makes nothing of any row
        connection.execute("PRAGMA writable_schema=RESET")
    return schema


def _programs(connection: sqlite3.Connection) -> Iterator[str]:
    """The kinds of what SQLite itself takes for a program."""
    with suppress(sqlite3.DatabaseError):
        for _, _, kind, *_ in connection.execute("PRAGMA table_list").fetchall():
            if kind in ("view", "virtual"):
                yield {"virtual": "virtual table"}.get(kind, kind)
        within = set()

        def authorize(*words: object) -> int:
            within.add(words[4])
            return sqlite3.SQLITE_OK

        connection.set_authorizer(authorize)
        connection.execute("EXPLAIN INSERT INTO t VALUES (1)").fetchall()
        connection.set_authorizer(None)
        yield from ["trigger"] * bool(within - {None})


@pytest.mark.proof
def test_nothing_that_sqlite_takes_for_a_program_is_taken_for_data() -> None:
    chance, made, known = random.Random(11), 0, 0
    for _ in range(4000):
        row = _forged(chance)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            schema = _with_row(connection, row)
            programs = set(_programs(connection))
            made += bool(programs)
            if schema.strange:
                continue
            known += bool(programs)
            assert programs <= {each.kind for each in schema.programs}, row
    assert made > 400, "too few of these rows make anything"
    assert known > 50, "hardly any of them is right"


def test_table_that_sqlite_takes_for_another_thing_is_told() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE plain (a)")
        connection.execute("CREATE VIEW seen AS SELECT 1")
        for schema in (
            Schema(tables={"plain": "", "seen": ""}),
            Schema(tables={"plain": ""}),
            Schema(tables={"plain": "", "gone": ""}, programs=[Program("view", "seen", "")]),
        ):
            assert find_contradiction(connection, schema) != ""
        right = Schema(tables={"plain": ""}, programs=[Program("view", "seen", "")])
        assert find_contradiction(connection, right) == ""


def test_names_are_compared_as_sqlite_does() -> None:
    assert fold("Tasks_Ä") == fold("TASKS_Ä")
    assert fold("ä") != fold("Ä")


def test_quoted_name_is_one_word(tmp_path: Path) -> None:
    name = 'a"; DROP TABLE b; --'
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute(f"CREATE TABLE {quote(name)} (a)")
        assert list(read_schema(connection).tables) == [name]
