# ruff: noqa: E501  (a statement is easier to read on one line)
"""
Schemas that somebody made to do harm, or that no site of ours has: as SQL, run on a good snapshot.

Most are refused for what they are. Those that pass must be whole, and harmless once applied.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

FLIPPED = 90  # how many are damaged in their bytes as well

ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
FORGED = "PRAGMA writable_schema=ON; "


def changed(content: bytes, script: str) -> bytes:
    """The snapshot after the script; what the script could not do is left undone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.db")
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            connection.create_function("harm", 1, lambda value: value, deterministic=True)
            connection.create_collation("harmful", lambda one, two: (one > two) - (one < two))
            connection.executescript(script)
            connection.commit()
        return path.read_bytes()


def _many_columns(number: int) -> str:
    return ", ".join(f"c{n} INTEGER NOT NULL DEFAULT {n}" for n in range(number))


def _many_tables(number: int) -> str:
    tables = "; ".join(f"CREATE TABLE many_{n} (a, b UNIQUE)" for n in range(number))
    return f"BEGIN; {tables}; COMMIT"


def _forge(name: str, sql: str) -> str:
    """Let the schema say something else of what has this name."""
    return f"{FORGED}UPDATE sqlite_schema SET sql = {sql} WHERE name = '{name}'"


def _add(kind: str, name: str, page: str, sql: str) -> str:
    return f"{FORGED}INSERT INTO sqlite_schema VALUES ('{kind}', '{name}', '{name}', {page}, {sql})"


def _pose(table: str, view: str) -> str:
    return f"PRAGMA foreign_keys=OFF; DROP TABLE {table}; CREATE VIEW {table} AS {view}"


_DEEP = "a" + " + (1" * 20 + ")" * 20
_USER = (
    "INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name,"
    " last_name, email, date_joined) VALUES ('intruder', '!', 1, 1, 1, '', '', '', '2026-11-23')"
)
_FORGED_USER = _USER.replace("'", "''")

SCRIPTS = {
    # Triggers
    "trigger that makes a user": f"CREATE TRIGGER evil AFTER INSERT ON tasks BEGIN {_USER}; END",
    "trigger on sessions": (
        f"CREATE TRIGGER evil BEFORE DELETE ON django_session BEGIN {_USER}; END"
    ),
    "trigger on sessions that does nothing": (
        "CREATE TRIGGER evil AFTER DELETE ON django_session BEGIN SELECT 1; END"
    ),
    "trigger on sessions that keeps them": (
        "CREATE TRIGGER evil BEFORE DELETE ON django_session BEGIN SELECT RAISE(IGNORE); END"
    ),
    "trigger on sessions that calls what is not there": (
        "CREATE TRIGGER evil AFTER DELETE ON django_session BEGIN SELECT nowhere(1); END"
    ),
    "trigger without end": (
        "CREATE TRIGGER evil AFTER UPDATE ON tasks BEGIN UPDATE tasks SET priority = 1; END;"
    ),
    "trigger behind a mark of byte order": _add(
        "trigger",
        "evil",
        "0",
        f"'CREATE ﻿TRIGGER evil AFTER INSERT ON tasks BEGIN {_FORGED_USER}; END'",
    ),
    "trigger that is a BLOB": _add(
        "trigger",
        "evil",
        "0",
        f"CAST('CREATE TRIGGER evil AFTER INSERT ON tasks BEGIN {_FORGED_USER}; END' AS BLOB)",
    ),
    "trigger that is written small": _add(
        "table",
        "evil",
        "2",
        f"'create trigger evil AFTER INSERT ON tasks BEGIN {_FORGED_USER}; END'",
    ),
    "trigger on migrations": (
        "CREATE TRIGGER evil AFTER INSERT ON django_migrations BEGIN DELETE FROM tasks; END"
    ),
    "trigger that is called a table": _add(
        "table", "evil", "0", "'CREATE TRIGGER evil AFTER INSERT ON tasks BEGIN SELECT 1; END'"
    ),
    "trigger behind a comment": _add(
        "trigger",
        "evil",
        "0",
        "'CREATE /* TABLE ( */ TRIGGER evil AFTER INSERT ON tasks BEGIN SELECT 1; END'",
    ),
    # Views
    "view": "CREATE VIEW evil AS SELECT * FROM auth_user",
    "endless view": f"CREATE VIEW evil AS {ENDLESS}",
    "view that loads code": "CREATE VIEW evil AS SELECT load_extension('/tmp/evil.so')",
    "view on itself": _add("view", "evil", "0", "'CREATE VIEW evil AS SELECT * FROM evil'"),
    "view as the migrations": _pose(
        "django_migrations", f"SELECT 1 AS id, 2 AS app FROM ({ENDLESS})"
    ),
    "view as the tasks": _pose("tasks", ENDLESS),
    "view as the users": _pose("auth_user", "SELECT 'tester' AS username"),
    "view as the sessions": _pose("django_session", "SELECT 1 AS session_key"),
    "view as the sessions that can be deleted": _pose("django_session", "SELECT 1 AS session_key")
    + "; CREATE TRIGGER evil INSTEAD OF DELETE ON django_session BEGIN DELETE FROM tasks; END",
    "view that is called a table": _add("table", "evil", "0", "'CREATE VIEW evil AS SELECT 1'"),
    # Virtual tables
    "full text": "CREATE VIRTUAL TABLE evil USING fts5 (a); INSERT INTO evil VALUES ('words')",
    "full text whose shadow is torn": (
        "CREATE VIRTUAL TABLE evil USING fts5 (a); INSERT INTO evil VALUES ('words');"
        " UPDATE evil_data SET block = x'ffffffffff'; DELETE FROM evil_config"
    ),
    "r-tree": "CREATE VIRTUAL TABLE evil USING rtree (id, x0, x1)",
    "virtual table of nowhere": _add(
        "table", "evil", "0", "'CREATE VIRTUAL TABLE evil USING nowhere (a)'"
    ),
    "virtual table with a page": _add(
        "table", "evil", "2", "'CREATE VIRTUAL TABLE evil USING fts5 (a)'"
    ),
    "virtual table behind a comment": _add(
        "table", "evil", "0", "'CREATE --TABLE (' || char(10) || ' VIRTUAL TABLE evil USING dbstat'"
    ),
    "virtual table as the tasks": (
        "PRAGMA foreign_keys=OFF; DROP TABLE tasks; CREATE VIRTUAL TABLE tasks USING fts5 (id, name)"
    ),
    "virtual table as the sessions": (
        "DROP TABLE django_session;"
        " CREATE VIRTUAL TABLE django_session USING fts5 (session_key, session_data, expire_date)"
    ),
    # Clauses that act
    "update that cascades into the users": _forge(
        "auth_user",
        "replace(sql, '\"is_superuser\" bool NOT NULL',"
        " '\"is_superuser\" bool NOT NULL REFERENCES tasks (priority) ON UPDATE CASCADE')",
    ),
    "insert that is ignored": _forge(
        "tags", "replace(sql, 'NOT NULL', 'NOT NULL ON CONFLICT IGNORE')"
    ),
    # Columns that compute
    "tasks that are generated": (
        "PRAGMA foreign_keys=OFF; ALTER TABLE tasks RENAME priority TO p;"
        " ALTER TABLE tasks ADD COLUMN priority AS (length(hex(zeroblob(p * 100000))))"
    ),
    "migrations that are generated": (
        "ALTER TABLE django_migrations RENAME applied TO a;"
        " ALTER TABLE django_migrations ADD COLUMN applied AS (length(hex(zeroblob(200000))))"
    ),
    "column that is long to compute": (
        "CREATE TABLE evil (a, b AS (length(a))); WITH RECURSIVE n (x) AS"
        " (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)"
        " INSERT INTO evil SELECT 30000000 FROM n; "
        + _forge("evil", "replace(sql, 'length(a)', 'length(hex(zeroblob(a)))')")
    ),
    # Functions, expressions, constraints
    "index with an unknown function": "CREATE INDEX evil ON tasks (harm(name))",
    "part of an index with an unknown function": "CREATE INDEX evil ON tasks (name) WHERE harm(name)",
    "unknown collation": "CREATE INDEX evil ON tasks (name COLLATE harmful)",
    "column from an unknown function": "CREATE TABLE evil (a, b AS (harm(a)) STORED)",
    "check by an unknown function": "CREATE TABLE evil (a CHECK (harm(a))); INSERT INTO evil VALUES (1)",
    "check that is broken": (
        "PRAGMA ignore_check_constraints=ON; UPDATE tasks SET priority = -1, status = 'NO';"
        " UPDATE tasks SET name = ''"
    ),
    "check that is broken by a table of its own": (
        "CREATE TABLE evil (a CHECK (a > 0)); PRAGMA ignore_check_constraints=ON;"
        " INSERT INTO evil VALUES (-1)"
    ),
    "json that is none": (
        "PRAGMA ignore_check_constraints=ON; INSERT INTO audit_logs (timestamp, operation,"
        " resource_type, success, new_values) VALUES ('2026-11-23', 'x', 'x', 1, '{')"
    ),
    "check that never ends": (
        "CREATE TABLE evil (a CHECK (NOT instr(hex(zeroblob(a)), hex(zeroblob(a / 2)) || 'x')));"
        " PRAGMA ignore_check_constraints=ON; INSERT INTO evil VALUES (10000000)"
    ),
    "check that takes a while a row": (
        "CREATE TABLE evil (a CHECK (length(hex(zeroblob(a))) > 0));"
        " PRAGMA ignore_check_constraints=ON; WITH RECURSIVE n (x) AS"
        " (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)"
        " INSERT INTO evil SELECT 30000000 FROM n"
    ),
    "check that eats memory": (
        "CREATE TABLE evil (a CHECK (length(hex(zeroblob(400000000))) > a));"
        " PRAGMA ignore_check_constraints=ON; INSERT INTO evil VALUES (1)"
    ),
    "column that eats memory": (
        "CREATE TABLE evil (a, b AS (hex(zeroblob(a))) CHECK (length(b) > 1));"
        " PRAGMA ignore_check_constraints=ON; INSERT INTO evil (a) VALUES (200000000)"
    ),
    "check by chance": "CREATE TABLE evil (a CHECK (random() IS NOT NULL)); INSERT INTO evil VALUES (1)",
    "check that overflows": (
        "CREATE TABLE evil (a CHECK (abs(a) > 0)); PRAGMA ignore_check_constraints=ON;"
        " INSERT INTO evil VALUES (-9223372036854775807 - 1)"
    ),
    "deep expression": f"CREATE TABLE evil (a CHECK ({_DEEP} > 0)); INSERT INTO evil VALUES (1)",
    "deeper expression": _add(
        "table",
        "evil",
        "2",
        "'CREATE TABLE evil (a CHECK (' || hex(zeroblob(0)) || '"
        + "(" * 900
        + "a"
        + ")" * 900
        + "))'",
    ),
    "broken null": _forge("tasks", "replace(sql, 'is_fixed\" bool', 'is_fixed\" blob')")
    + "; "
    + _forge(
        "notes", "replace(sql, '\"content\" text NOT NULL', '\"content\" text NOT NULL UNIQUE')"
    ),
    "unique that is not": (
        "UPDATE tasks SET priority = 1;"
        + _forge("idx_priority", "replace(sql, 'CREATE INDEX', 'CREATE UNIQUE INDEX')")
    ),
    "index of another column": _forge("idx_status", "replace(sql, '\"status\"', '\"name\"')"),
    "index on the page of a table": (
        f"{FORGED}UPDATE sqlite_schema SET rootpage ="
        " (SELECT rootpage FROM sqlite_schema WHERE name = 'notes') WHERE name = 'idx_status'"
    ),
    "two tables on one page": (
        f"{FORGED}UPDATE sqlite_schema SET rootpage ="
        " (SELECT rootpage FROM sqlite_schema WHERE name = 'notes') WHERE name = 'tags'"
    ),
    "table on the first page": f"{FORGED}UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'tags'",
    "table on no page": f"{FORGED}UPDATE sqlite_schema SET rootpage = 0 WHERE name = 'tasks'",
    "sessions on no page": (
        f"{FORGED}UPDATE sqlite_schema SET rootpage = 0 WHERE name = 'django_session'"
    ),
    "sessions on the page of the users": (
        f"{FORGED}UPDATE sqlite_schema SET rootpage ="
        " (SELECT rootpage FROM sqlite_schema WHERE name = 'auth_user')"
        " WHERE name = 'django_session'"
    ),
    "table beyond the end": (
        f"{FORGED}UPDATE sqlite_schema SET rootpage = 4000000000 WHERE name = 'tasks'"
    ),
    # Huge counts
    "2,000 tables with an index each": _many_tables(2_000),
    "2,000 columns": f"CREATE TABLE wide ({_many_columns(2000)}); INSERT INTO wide DEFAULT VALUES",
    "a thousand indexes": "BEGIN; "
    + "; ".join(f"CREATE INDEX many_{n} ON tasks (name, priority, {n})" for n in range(1000))
    + "; COMMIT",
    "a long name": f'CREATE TABLE "{"x" * 500_000}" (a)',
    "a name of a megabyte for a column": f'CREATE TABLE long ("{"x" * 900_000}")',
    "a statement of two megabytes": _add(
        "table", "evil", "2", f"'CREATE TABLE evil (a /*{'x' * 2_000_000}*/)'"
    ),
    "a text of ten megabytes": (
        "INSERT INTO tags (name, created_at) VALUES (hex(zeroblob(5000000)), '2026-11-23')"
    ),
    "a hundred thousand migrations": (
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000)"
        " INSERT INTO django_migrations (app, name, applied)"
        " SELECT 'tasks', '0001_initial', '2026-11-23' FROM n"
    ),
    "a hundred thousand migrations that nobody knows": (
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000)"
        " INSERT INTO django_migrations (app, name, applied)"
        " SELECT 'evil', '' || x, '2026-11-23' FROM n"
    ),
    "a hundred thousand sessions": (
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000)"
        " INSERT INTO django_session SELECT 'many' || x, 'x', '2030-01-01' FROM n"
    ),
    # Tables that are not what they seem
    "tasks without a column": "DROP INDEX idx_priority; ALTER TABLE tasks RENAME priority TO other",
    "users without a column": "ALTER TABLE auth_user RENAME password TO other",
    "migrations without a column": "ALTER TABLE django_migrations RENAME app TO other",
    "migrations of another kind": (
        "DROP TABLE django_migrations; CREATE TABLE django_migrations (version TEXT)"
    ),
    "migrations without ids": (
        "CREATE TABLE m AS SELECT app, name, applied FROM django_migrations;"
        " DROP TABLE django_migrations; ALTER TABLE m RENAME TO django_migrations"
    ),
    "no migrations": "DROP TABLE django_migrations",
    "no migration": "DELETE FROM django_migrations",
    "migrations that are no text": "INSERT INTO django_migrations VALUES (NULL, x'ff00', 3, '')",
    "a migration with a long name": (
        "INSERT INTO django_migrations VALUES (NULL, 'x', hex(zeroblob(1000000)), '')"
    ),
    "no tasks": "PRAGMA foreign_keys=OFF; DROP TABLE tasks",
    "tasks without rowid": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name, priority, status, created_at, updated_at,"
        " planned_start, planned_end, deadline, actual_start, actual_end, actual_duration,"
        " estimated_duration, is_fixed, is_archived) WITHOUT ROWID;"
        " PRAGMA foreign_keys=OFF; DROP TABLE tasks; ALTER TABLE t RENAME TO tasks"
    ),
    "sessions with a broken reference": (
        "CREATE TABLE user_sessions (session REFERENCES django_session (session_key));"
        " INSERT INTO user_sessions SELECT session_key FROM django_session"
    ),
    "broken references": "INSERT INTO task_tags (task_id, tag_id) VALUES (77777, 88888)",
    "reference to nowhere": "CREATE TABLE evil (a REFERENCES nowhere (b)); INSERT INTO evil VALUES (1)",
    "reference that can't be": "CREATE TABLE evil (a REFERENCES tasks (name)); INSERT INTO evil VALUES (1)",
    "songs": "CREATE TABLE songs (id INTEGER PRIMARY KEY, title)",
    # SQLite's own tables
    "sequence of another name": (
        f"{FORGED}UPDATE sqlite_schema SET name = 'counters', tbl_name = 'counters',"
        " sql = 'CREATE TABLE counters (name, seq)' WHERE name = 'sqlite_sequence'"
    ),
    "no sequence": f"{FORGED}DELETE FROM sqlite_schema WHERE name = 'sqlite_sequence'",
    "a sequence of nonsense": "UPDATE sqlite_sequence SET seq = 'x', name = NULL",
    "sequences twice": "INSERT INTO sqlite_sequence SELECT * FROM sqlite_sequence",
    "sequence with three columns": _forge(
        "sqlite_sequence", "'CREATE TABLE sqlite_sequence(name,seq,x)'"
    ),
    "statistics of nonsense": (
        "ANALYZE; UPDATE sqlite_stat1 SET stat = '-1 99999999999999999999 x unordered sz=-1';"
        " INSERT INTO sqlite_stat1 VALUES ('nowhere', 'nothing', '1'), (NULL, NULL, NULL)"
    ),
    "statistics with one column": (
        "ANALYZE;" + _forge("sqlite_stat1", "'CREATE TABLE sqlite_stat1(tbl)'")
    ),
    "autoindex that is none": (
        f"{FORGED}UPDATE sqlite_schema SET sql = NULL WHERE name = 'idx_status'"
    ),
    # Texts that are none
    "schema of nothing": _forge("tasks", "NULL"),
    "schema with a zero": _forge("tasks", "sql || char(0) || 'x'"),
    "name with a zero": f"{FORGED}UPDATE sqlite_schema SET name = 'tags' || char(0) WHERE name = 'tags'",
    "schema that is no text": _forge("tags", "CAST(sql || x'fffe' AS BLOB)"),
    "name that is no text": f"{FORGED}UPDATE sqlite_schema SET name = 7 WHERE name = 'tags'",
    "name that is no UTF-8": (
        "CREATE TABLE tally (a);"
        f"{FORGED}UPDATE sqlite_schema SET name = CAST(x'fffefd' AS TEXT),"
        " tbl_name = CAST(x'fffefd' AS TEXT),"
        " sql = CAST(x'435245415445205441424c452022fffefd2220286129' AS TEXT) WHERE name = 'tally'"
    ),
    "texts that are no UTF-8": "UPDATE tasks SET name = CAST(x'fffefd80' AS TEXT)",
    "kind that is none": f"{FORGED}UPDATE sqlite_schema SET type = 'tabel' WHERE name = 'tags'",
    "two of one name": _add("table", "tags", "2", "'CREATE TABLE tags (a)'"),
    "schema of a schema": _add("table", "sqlite_schema", "2", "'CREATE TABLE sqlite_schema (a)'"),
    # Whole ones
    "write-ahead": "PRAGMA journal_mode=WAL",
    "free pages": "CREATE TABLE t AS SELECT hex(zeroblob(300000)) AS a; DROP TABLE t",
    "incremental vacuum": "PRAGMA auto_vacuum=INCREMENTAL; VACUUM",
    "other names": 'CREATE TABLE "a""b;--\n" ("c\td" TEXT, "ü" INTEGER GENERATED ALWAYS AS (1))',
    "without rowid": "CREATE TABLE w (a PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO w VALUES (1, 2)",
    "strict": "CREATE TABLE s (a INTEGER, b ANY) STRICT; INSERT INTO s VALUES (1, x'00')",
    "index on a known function": "CREATE INDEX lowered ON tasks (lower(name), length(trim(name)))",
}
