"""
Databases of taskdog's own server, of each revision, with the schema that its migrations make.

The schemas were compared with what the migrations of ``taskdog-core`` 0.29.0 leave; a revision
differs from the one before only in what its name says.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from taskdog.imports.revisions import KNOWN

HEAD = KNOWN[-1]
MOMENT = "2026-01-02 03:04:05.678901"
LATER = "2026-02-03 04:05:06.000000"


def make_database(path: Path, revision: str = HEAD, *, is_stamped: bool = True) -> Path:
    """
    Make an empty database, in WAL mode as that server does.

    :param is_stamped: false for one from before Alembic, which is as 001.
    """
    number = KNOWN.index(revision) + 1
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(schema(number))
        if is_stamped:
            connection.execute(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
                " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
            connection.execute("INSERT INTO alembic_version VALUES (?)", [revision])
    return path


def schema(number: int) -> str:
    """The tables after the first ``number`` migrations."""
    tables = [_tasks(number), TAGS, TASK_TAGS, AUDIT_LOGS]
    if number >= 4:
        tables.append(NOTES)
    if number >= 5:
        tables.append(DAILY_ALLOCATIONS)
    return ";\n".join(tables)


def insert(path: Path, table: str, **values: Any) -> None:
    """Add a row, as it is given."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def add_task(path: Path, task_id: int, name: str = "a task", **values: Any) -> None:
    """Add a task: pending, with the priority 5, unless the values say otherwise."""
    given = {
        "id": task_id,
        "name": name,
        "priority": 5,
        "status": "PENDING",
        "created_at": MOMENT,
        "updated_at": LATER,
    }
    insert(path, "tasks", **given | values)


def _tasks(number: int) -> str:
    columns = [
        "id INTEGER NOT NULL",
        "name VARCHAR(500) NOT NULL",
        "priority INTEGER" if number >= 3 else "priority INTEGER NOT NULL",
        "status VARCHAR(50) NOT NULL",
        "created_at DATETIME NOT NULL",
        "updated_at DATETIME NOT NULL",
        *(
            f"{name} DATETIME"
            for name in ("planned_start", "planned_end", "deadline", "actual_start", "actual_end")
        ),
        "actual_duration FLOAT",
        "estimated_duration FLOAT",
        "is_fixed BOOLEAN DEFAULT '0' NOT NULL",
        *(["daily_allocations TEXT DEFAULT '{}' NOT NULL"] if number <= 5 else []),
        *(["actual_daily_hours TEXT DEFAULT '{}' NOT NULL"] if number <= 1 else []),
        "depends_on TEXT DEFAULT '[]' NOT NULL",
        "is_archived BOOLEAN DEFAULT '0' NOT NULL",
        "PRIMARY KEY (id)",
    ]
    return f"CREATE TABLE tasks ({', '.join(columns)})"


TAGS = """
CREATE TABLE tags (id INTEGER NOT NULL, name VARCHAR(100) NOT NULL, created_at DATETIME NOT NULL,
    PRIMARY KEY (id), UNIQUE (name))"""
TASK_TAGS = """
CREATE TABLE task_tags (task_id INTEGER NOT NULL, tag_id INTEGER NOT NULL,
    PRIMARY KEY (task_id, tag_id),
    FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    FOREIGN KEY(tag_id) REFERENCES tags (id) ON DELETE CASCADE)"""
AUDIT_LOGS = """
CREATE TABLE audit_logs (id INTEGER NOT NULL, timestamp DATETIME NOT NULL,
    client_name VARCHAR(100), operation VARCHAR(50) NOT NULL, resource_type VARCHAR(50) NOT NULL,
    resource_id INTEGER, resource_name VARCHAR(500), old_values TEXT, new_values TEXT,
    success BOOLEAN NOT NULL, error_message TEXT, PRIMARY KEY (id))"""
NOTES = """
CREATE TABLE notes (task_id INTEGER NOT NULL, content TEXT NOT NULL, created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL, PRIMARY KEY (task_id),
    FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE)"""
DAILY_ALLOCATIONS = """
CREATE TABLE daily_allocations (id INTEGER NOT NULL, task_id INTEGER NOT NULL, date DATE NOT NULL,
    hours FLOAT NOT NULL, created_at DATETIME NOT NULL, PRIMARY KEY (id),
    CONSTRAINT uq_daily_allocations_task_date UNIQUE (task_id, date),
    CONSTRAINT ck_daily_allocations_hours_positive CHECK (hours > 0),
    FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE)"""
